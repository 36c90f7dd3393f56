"""Figures of single items: maps of the multiplication table, and why answers were wrong."""

from itertools import product
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mulfact.evals.report.figure_style import WIDTH, Results, labels, task_label

ERROR_CLASSES = {
    "arithmetic": ("#0072B2", ""),
    "reasoning": ("#E69F00", "////"),
    "format": ("#999999", ""),
    "truncated": ("#E5E5E5", "...."),
}


def heatmap_figure(results: Results, maps: dict[str, dict[str, Any]], share: bool) -> Figure | None:
    """Draw a 9x9 map of the operands for each arm (row) and stage (column): accuracy (`share`) or counts.

    Arms without any value are left out, and cells without a value are grey (accuracy) or white (counts).
    """
    tables = {
        (stage, arm): (100 if share else 1) * np.array(values, dtype=float)
        for arm in results["conditions"]
        for stage, values in maps.get(arm, {}).items()
    }
    if not share:  # a logarithmic scale has no place for 0
        tables = {place: np.where(table > 0, table, np.nan) for place, table in tables.items()}
    filled = {arm for (_, arm), table in tables.items() if np.isfinite(table).any()}
    arms, stages = [arm for arm in results["conditions"] if arm in filled], list(dict.fromkeys(s for s, _ in tables))
    if not arms:
        return None
    colours: Colormap = matplotlib.colormaps["cividis" if share else "Blues"].with_extremes(
        bad="#D9D9D9" if share else "#FFFFFF"
    )
    most = max(float(np.nanmax(tables[s, arm], initial=10)) for s in stages for arm in arms if (s, arm) in tables)
    norm = Normalize(0, 100) if share else LogNorm(1, most)
    side = (WIDTH - 1) / len(stages)
    figure = Figure(figsize=(WIDTH, (side + 0.15) * len(arms) + 0.2), layout="constrained")
    grid = figure.subplots(len(arms), len(stages), squeeze=False, sharex=True, sharey=True)
    for row, arm in zip(grid, arms, strict=True):
        for axes, stage in zip(row, stages, strict=True):
            table = tables.get((stage, arm), np.full((9, 9), np.nan))
            image = axes.imshow(table, cmap=colours, norm=norm)
            axes.set_xticks(range(9), range(1, 10))
            axes.set_yticks(range(9), range(1, 10))
            axes.tick_params(length=0, labelsize=7)
            axes.spines[:].set_visible(False)
            axes.set_title(f"{arm}, {stage}", fontsize=9)
            write_cells(axes, table, norm, dark_is_low=share)
        row[0].set_ylabel("first operand")
    for axes in grid[-1]:
        axes.set_xlabel("second operand")
    shrink = min(1.0, 1.6 / len(arms))
    label = "accuracy (%)" if share else "fact tokens generated"
    figure.colorbar(image, ax=grid, shrink=shrink, format="%d", label=label)
    return figure


def write_cells(axes: Axes, table: np.ndarray, norm: Normalize, dark_is_low: bool) -> None:
    """Write each value in its cell, light on dark and dark on light."""
    for (row, column), value in np.ndenumerate(table):
        if np.isfinite(value):
            dark = (norm(value) < 0.5) == dark_is_low
            text = f"{value:.0f}" if value < 1000 else f"{value / 1000:.{0 if value >= 9950 else 1}f}k"
            axes.text(column, row, text, ha="center", va="center", fontsize=5.5, color="white" if dark else "black")


def error_figure(results: Results, family: str) -> Figure | None:
    """Draw the share of items that each error class takes, as stacked bars by task, arm and stage."""
    tasks = labels([row for row in results["accuracy"] if row["family"] == family], "task")
    rows = [row for row in results["error_classes"] if row["task"] in tasks]
    if not rows:
        return None
    stages, arms = labels(rows, "stage"), [arm for arm in results["conditions"] if arm in labels(rows, "condition")]
    lines = list(product(tasks, (None, *arms)))  # the task's name has a line of its own
    places = {pair: index for index, pair in enumerate(lines)}
    height = 0.2 * len(places) + 0.9
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(stages), squeeze=False, sharey=True)[0]
    for axes, stage in zip(panels, stages, strict=True):
        for row in rows:
            if row["stage"] != stage:
                continue
            left = 0.0
            for name, (colour, hatch) in ERROR_CLASSES.items():
                width = 100 * row["counts"].get(name, 0) / row["items"]
                place = places[row["task"], row["condition"]]
                axes.barh(place, width, 0.78, left, color=colour, hatch=hatch, linewidth=0)
                left += width
        for edge in range(len(arms) + 1, len(places), len(arms) + 1):
            axes.axhline(edge - 0.5, color="#CCCCCC", linewidth=0.6)
        axes.set_title(stage)
        axes.set_xlabel("wrong items (% of all)")
        axes.set_xlim(0, 100)
        axes.set_xticks([0, 50, 100])
        for label, side in zip(axes.get_xticklabels(), ("left", "center", "right"), strict=True):
            label.set_horizontalalignment(side)  # so that 100 does not touch the 0 of the next panel
        axes.set_ylim(len(places) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    panels[0].set_yticks(range(len(lines)), [arm or task_label(results, task) for task, arm in lines])
    for label in panels[0].get_yticklabels()[:: len(arms) + 1]:
        label.set_fontweight("bold")
    handles = [Patch(facecolor=colour, hatch=hatch, label=name) for name, (colour, hatch) in ERROR_CLASSES.items()]
    figure.legend(handles=handles, loc="outside upper left", ncols=len(handles))
    return figure
