"""Figures of the halves: the effect of a token over the curve, both levels, fact by fact, and by frequency."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from mulfact.evals.report.figure_style import COLOURS, WIDTH, drawing
from mulfact.evals.report.figures import DPI

Results = dict[str, Any]
WITH, WITHOUT, FAINT = COLOURS[1], COLOURS[2], "#9AA0A6"


def draw_halves(results: Results, folder: Path) -> dict[str, Path]:
    """Write every figure as <folder>/<name>.png and return the paths by name: effects, levels, facts, dose."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    with drawing([task["task"] for task in results["tasks"]]):
        for name, draw in (
            ("effects", effects_figure), ("levels", levels_figure), ("facts", facts_figure), ("dose", dose_figure),
        ):  # fmt: skip
            figure = draw(results)
            if figure is not None:
                paths[name] = folder / f"{name}.png"
                figure.savefig(paths[name], dpi=DPI, facecolor="white", metadata={"Software": None})
    return paths


def panels(results: Results, tasks: list[dict[str, Any]], height: float, **share: Any) -> tuple[Figure, np.ndarray]:
    """Return a figure with a row for each task and a column for each prompt form."""
    columns = max(len(task["forms"]) for task in tasks)
    width = WIDTH if columns > 1 else 0.6 * WIDTH
    figure = Figure(figsize=(width, height * len(tasks) + 0.3), layout="constrained")
    return figure, figure.subplots(len(tasks), columns, squeeze=False, **share)


def title(task: dict[str, Any], form: dict[str, Any]) -> str:
    return f"{task['task']}, {form['form']}" + ("" if task["has_tokens"] else " (no tokens for these)")


def effects_figure(results: Results) -> Figure:
    """Draw the change in bits that a token makes over tokens read, with the band that holds for all points together."""
    figure, grid = panels(results, results["tasks"], 2.5, sharex=True, sharey="row")
    tokens = [point["tokens"] for point in results["points"]]
    for row, task in zip(grid, results["tasks"], strict=True):
        for axes, form in zip(row, task["forms"], strict=True):
            points = form["bits"]["points"]
            effect = [point["effect"] for point in points]
            band = np.array([point["band"] for point in points], dtype=float)
            axes.axhline(0, color="#444444", linewidth=0.9)
            axes.fill_between(tokens, *band.T, color=WITH, alpha=0.16, linewidth=0)
            axes.plot(tokens, effect, color=WITH, linewidth=1.6, marker="o", markersize=3)
            finish(axes, title(task, form))
        row[0].set_ylabel("bits, with − without")
    for axes in grid[-1]:
        axes.set_xlabel("tokens read")
    return figure


def levels_figure(results: Results) -> Figure:
    """Draw the bits of the answers of facts with and without their token."""
    figure, grid = panels(results, results["tasks"], 2.3, sharex=True, sharey="row")
    tokens = [point["tokens"] for point in results["points"]]
    for row, task in zip(grid, results["tasks"], strict=True):
        for axes, form in zip(row, task["forms"], strict=True):
            for name, colour, line, marker in (("with", WITH, "-", "o"), ("without", WITHOUT, "--", "s")):
                values = [point[name] for point in form["bits"]["points"]]
                axes.plot(
                    tokens, values, color=colour, linestyle=line, marker=marker, markersize=3, label=f"{name} a token"
                )
            axes.set_ylim(bottom=0)
            finish(axes, title(task, form))
        row[0].set_ylabel("bits of the answer")
    for axes in grid[-1]:
        axes.set_xlabel("tokens read")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles=handles, labels=labels, loc="outside upper left", ncols=2)
    return figure


def finish(axes: Axes, text: str) -> None:
    axes.set_xscale("log")
    axes.grid(axis="y")
    axes.set_title(text)


def facts_figure(results: Results) -> Figure | None:
    """Draw what a token changes for each product of two operands, over the curve and at its end."""
    tasks = [task for task in results["tasks"] if task["has_tokens"] and is_table(task["forms"][0]["units"])]
    if not tasks:
        return None
    maps = [(form, when) for task in tasks for form in task["forms"] for when in ("whole_curve", "end")]
    rows = -(-len(maps) // 2)
    figure = Figure(figsize=(WIDTH, 3.4 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    values = [unit[when] for form, when in maps for unit in form["units"]]
    reach = max(np.quantile(np.abs(values), 0.98), 1e-9)
    norm, colours = TwoSlopeNorm(0, -reach, reach), matplotlib.colormaps["RdBu_r"].with_extremes(bad="#FFFFFF")
    for axes, (form, when) in zip(grid, maps, strict=False):
        largest = max(unit["unit"][1] for unit in form["units"])
        table = np.full((largest, largest), np.nan)
        for unit in form["units"]:
            smaller, larger = unit["unit"]
            table[smaller - 1, larger - 1] = unit[when]
        image = axes.imshow(table, cmap=colours, norm=norm)
        axes.set_xticks(range(largest), range(1, largest + 1))
        axes.set_yticks(range(largest), range(1, largest + 1))
        axes.tick_params(length=0, labelsize=7)
        axes.spines[:].set_visible(False)
        axes.set_title(f"{form['form']}, " + ("mean over the curve" if when == "whole_curve" else "at its end"))
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.65 * reach else "black"
                axes.text(column, row, f"{value:+.1f}", ha="center", va="center", fontsize=6, color=colour)
    for axes in grid[len(maps) :]:
        axes.set_visible(False)
    figure.colorbar(image, ax=grid.tolist(), shrink=0.8, label="bits, with − without")
    return figure


def is_table(units: list[dict[str, Any]]) -> bool:
    return not isinstance(units[0]["unit"], str)


def dose_figure(results: Results) -> Figure | None:
    """Draw each fact's effect over the curve by how often training text holds it."""
    tasks = [task for task in results["tasks"] if task["has_tokens"]]
    figure, grid = panels(results, tasks, 2.8, sharey="row")
    for row, task in zip(grid, tasks, strict=True):
        for axes, form in zip(row, task["forms"], strict=True):
            counts = np.array([max(unit["count"], 1.0) for unit in form["units"]])
            effects = np.array([unit["whole_curve"] for unit in form["units"]])
            axes.axhline(0, color="#444444", linewidth=0.9)
            axes.scatter(counts, effects, s=14, color=WITH, alpha=0.75, linewidth=0)
            if form["dose"]:
                slope = form["dose"]["whole_curve"]["slope_per_doubling"]
                ends = np.array([counts.min(), counts.max()])
                line = effects.mean() + slope * (np.log2(ends) - np.log2(counts).mean())
                axes.plot(ends, line, color=WITHOUT, linewidth=1.4)
            axes.set_xscale("log", base=2)
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
            axes.grid(axis="y")
            axes.set_title(title(task, form))
            axes.set_xlabel("occurrences in training text")
        row[0].set_ylabel("bits, with − without")
    return figure
