"""How every figure looks: one colour, marker and line style for an arm, print-sized panels, a legend on top.

The palette is Okabe and Ito's, and the shapes tell up to seven arms apart where there is no colour.
"""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mulfact.evals.report.fonts import families

Results = dict[str, Any]

# Okabe and Ito (2008), without the yellow, which is too light for lines on white.
COLOURS = ["#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
LINES: list[Any] = [
    "-", (0, (6, 1.2)), (0, (2.5, 1.2)), (0, (6, 1.2, 1.5, 1.2)), (0, (1, 1)), (0, (6, 1.2, 1, 1.2, 1, 1.2)),
    (0, (4, 4)),
]  # fmt: skip
STYLE: dict[Any, Any] = {
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


@contextmanager
def drawing(texts: Iterable[str]) -> Iterator[None]:
    """Draw in our style, with fonts that can write `texts`; a character that no font has is a box without a warning."""
    log = logging.getLogger("matplotlib.font_manager")  # says that a font has no bold
    level = log.level
    with matplotlib.rc_context({**STYLE, "font.family": families(texts)}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def labels(rows: list[dict[str, Any]], field: str) -> list[str]:
    """Return the distinct values of `field` in their order of appearance."""
    return list(dict.fromkeys(row[field] for row in rows))


def task_label(results: Results, task: str) -> str:
    """Return a task's name, with a mark where its problems are not those that the name makes one think of."""
    return f"{task} (synthetic)" if results["benchmarks"][task]["source"] == "synthetic" else task


def looks(results: Results) -> dict[str, Look]:
    """Return the look of each arm: the reference has its own; the others follow in their order, 36 of them distinct.

    Colour and shape count together, like two digits of which the second moves on one more at each turn of the first.
    """
    drawn = {results["reference"]: Look(COLOURS[0], MARKERS[0], LINES[0])}
    others = [arm for arm in results["conditions"] if arm != results["reference"]]
    size = len(COLOURS) - 1
    for index, arm in enumerate(others):
        colour, shape = 1 + index % size, 1 + (index + index // size) % size
        drawn[arm] = Look(COLOURS[colour], MARKERS[shape], LINES[shape])
    return drawn


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
