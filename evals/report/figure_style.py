"""How every figure looks: one colour, marker and line style for an arm, print-sized panels, a legend on top.

The palette is Okabe and Ito's, and the shapes tell the arms apart where there is no colour.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Results = dict[str, Any]

# Okabe and Ito (2008), without the yellow, which is too light for lines on white.
COLOURS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
LINES: list[Any] = ["-", (0, (6, 1.2)), (0, (2.5, 1.2)), (0, (6, 1.2, 1.5, 1.2)), (0, (1, 1)), "--", "-."]
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.7,
    "axes.axisbelow": True,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "hatch.linewidth": 0.5,
    "hatch.color": "#555555",
}
WIDTH = 9.0  # inches: a printed page with its margins at about 75%


@dataclass(frozen=True)
class Look:
    """How an arm is drawn."""

    colour: str
    marker: str
    line: Any


def labels(rows: list[dict[str, Any]], field: str) -> list[str]:
    """Return the distinct values of `field` in their order of appearance."""
    return list(dict.fromkeys(row[field] for row in rows))


def task_label(results: Results, task: str) -> str:
    """Return a task's name, with a mark where its problems are not those that the name makes one think of."""
    return f"{task} (synthetic)" if results["benchmarks"][task]["source"] == "synthetic" else task


def looks(results: Results) -> dict[str, Look]:
    """Return the look of each arm: the reference is black, the others follow in their order."""
    arms = [results["reference"], *[arm for arm in results["conditions"] if arm != results["reference"]]]
    size = len(COLOURS)
    return {
        arm: Look(COLOURS[index % size], MARKERS[index % size], LINES[index % size]) for index, arm in enumerate(arms)
    }


def small_multiples(
    results: Results,
    rows: int,
    columns: int,
    row_height: float,
    arms: list[str] | None = None,
    lines: bool = False,
    share: bool = False,
) -> tuple[Figure, np.ndarray]:
    """Return a figure with a legend of the arms on top and its panels, (rows, columns); `share`: with the same axes."""
    figure = Figure(figsize=(WIDTH, row_height * rows + 0.35), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share)
    look, named = looks(results), arms or results["conditions"]
    handles = [
        Line2D(
            [], [], color=look[arm].colour, marker=look[arm].marker, markersize=5, linestyle=look[arm].line, label=arm
        )
        for arm in named
    ]
    if not lines:
        for handle in handles:
            handle.set_linestyle("-")
    figure.legend(handles=handles, loc="outside upper left", ncols=min(len(handles), 5), handlelength=3)
    return figure, grid
