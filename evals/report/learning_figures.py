"""Figures of what is learned when: bits and accuracy over tokens and bytes, facts not known yet, and a map of them."""

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from mulfact.evals.report.figure_style import WIDTH, Results, labels, looks, small_multiples

MEASURES = {"bits": "bits of the answer", "correct": "accuracy (%)"}
TABLE = 9  # operands of the map


def learned(results: Results) -> list[str]:
    """Return the kinds of facts that were asked over the curve."""
    return labels(results["learning"]["curves"], "task") if results["learning"] else []


def learning_figure(results: Results, task: str) -> Figure | None:
    """Draw bits and accuracy of a kind of fact over tokens and raw bytes, a row for each prompt form and measure."""
    curves = [curve for curve in (results["learning"] or {}).get("curves", []) if curve["task"] == task]
    if not curves:
        return None
    rows = [(form, measure) for form in labels(curves, "form") for measure in MEASURES]
    figure, grid = small_multiples(results, len(rows), 2, row_height=2.1, lines=True)
    for panels, (form, measure) in zip(grid, rows, strict=True):
        chosen = [curve for curve in curves if curve["form"] == form]
        for axes, position in zip(panels, ("tokens", "bytes"), strict=True):
            draw_arms(axes, results, chosen, position, measure)
            axes.set_title(f"{task}, {form}, by {position}")
            axes.set_ylabel(MEASURES[measure])
            axes.set_xlabel(f"{position} read")
    return figure


def draw_arms(axes: Axes, results: Results, curves: list[Results], position: str, measure: str) -> None:
    """Draw each seed as a faint line and each arm's mean over its seeds as a strong one, over a logarithmic axis."""
    scale = 100 if measure == "correct" else 1
    for arm, look in looks(results).items():
        own = [curve["points"] for curve in curves if curve["condition"] == arm]
        if not own:
            continue
        places = np.mean([[point[position] for point in points] for points in own], axis=0)
        values = scale * np.array([[point[measure] for point in points] for points in own])
        for line in values if len(values) > 1 else []:
            axes.plot(places, line, color=look.colour, linewidth=0.6, alpha=0.35, zorder=1)
        axes.plot(places, values.mean(axis=0), color=look.colour, linestyle=look.line, linewidth=1.6, zorder=3)
    if measure == "bits":
        axes.axhline(results["learning"]["known_bits"], color="#AAAAAA", linewidth=0.8, zorder=0)
    axes.set_ylim(0, 100 if measure == "correct" else None)
    axes.set_xscale("log")
    axes.grid(axis="y")


def unknown_figure(results: Results) -> Figure | None:
    """Draw the share of facts that are not known yet over tokens: a panel for each kind of fact and prompt form."""
    known = (results["learning"] or {}).get("known", [])
    panels = list(dict.fromkeys((entry["task"], entry["form"]) for entry in known))
    if not panels:
        return None
    figure, grid = small_multiples(results, -(-len(panels) // 2), 2, row_height=2.2, lines=True, share=True)
    for axes, (task, form) in zip(grid.ravel(), panels, strict=False):
        for entry in known:
            if (entry["task"], entry["form"]) == (task, form):
                look = looks(results)[entry["condition"]]
                shares = [100, *(100 * share for share in entry["unknown"])]
                tokens = [entry["tokens"][0] / 2, *entry["tokens"]]
                axes.step(
                    tokens, shares, where="post", color=look.colour, linestyle=look.line, linewidth=1.6, clip_on=False
                )
        axes.set_title(f"{task}, {form}")
        axes.set_xscale("log")
        axes.set_ylim(0, 100)
        axes.grid(axis="y")
        axes.set_xlabel("tokens read")
        axes.set_ylabel("facts not known yet (%)")
    for axes in grid.ravel()[len(panels) :]:
        axes.set_visible(False)
    return figure


def known_figure(results: Results, task: str) -> Figure | None:
    """Draw the tokens until each fact was known on a map of its operands; white: never in half of the runs."""
    known = [entry for entry in (results["learning"] or {}).get("known", []) if entry["task"] == task]
    known = [entry for entry in known if entry["facts"][0]["operands"]]
    if not known:
        return None
    arms, forms = labels(known, "condition"), labels(known, "form")
    points = known[0]["tokens"]  # the colours begin at the point before the first fact was known
    first = min((fact["tokens"] for entry in known for fact in entry["facts"] if fact["tokens"]), default=points[1])
    norm = LogNorm(max((point for point in points if point < first), default=points[0]), points[-1])
    colours = matplotlib.colormaps["cividis_r"].with_extremes(bad="#FFFFFF")
    figure = Figure(figsize=(WIDTH * 0.85, 3.2 * len(arms) + 0.2), layout="constrained")
    grid = figure.subplots(len(arms), len(forms), squeeze=False, sharex=True, sharey=True)
    for entry in known:
        axes = grid[arms.index(entry["condition"]), forms.index(entry["form"])]
        table = np.full((TABLE, TABLE), np.nan)
        for fact in entry["facts"]:
            if fact["tokens"] is not None and max(fact["operands"]) <= TABLE:
                table[fact["operands"][0] - 1, fact["operands"][1] - 1] = fact["tokens"]
        image = axes.imshow(table, cmap=colours, norm=norm)
        axes.set_xticks(range(TABLE), range(1, TABLE + 1))
        axes.set_yticks(range(TABLE), range(1, TABLE + 1))
        axes.tick_params(length=0, labelsize=7)
        axes.spines[:].set_color("#CCCCCC")
        axes.set_title(f"{entry['condition']}, {entry['form']}: {entry['never']} of {entry['of']} never", fontsize=9)
    for row in grid:
        row[0].set_ylabel("first operand")
    for axes in grid[-1]:
        axes.set_xlabel("second operand")
    figure.colorbar(image, ax=grid, shrink=min(1.0, 1.6 / len(arms)), label="tokens read until it was known")
    return figure
