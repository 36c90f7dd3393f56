"""A figure of what a planned experiment can see, drawn as those of the report are.

make plan SCALE=pilot SEEDS="0 1 2" FIGURE=plan.svg
"""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mulfact.evals.comparison.significance import planned_effect
from mulfact.evals.report.figure_style import COLOURS, LINES, MARKERS, WIDTH, drawing
from mulfact.evals.report.figures import DPI
from mulfact.experiment.power import ACCURACIES, SEED_SDS

SEEDS = (3, 4, 5, 6, 8, 10, 12, 16)
SEED_TICKS = (3, 5, 8, 16)
POINTS = (0.5, 1, 2, 5, 10, 20, 50, 100)  # ticks of an axis of effects


def draw_power(items: int, planned_seeds: int, measured: tuple[float, float] | None, path: Path) -> None:
    """Write the smallest difference found with 80% power over seeds to `path` (.svg or .png), in a panel an accuracy.

    `measured`: an accuracy and its seeds' SD, with a panel of its own. A line marks the seeds that are planned.
    """
    seeds = sorted({planned_seeds, *SEEDS} - {1})
    panels = [(f"accuracy {accuracy:.0%}", accuracy, list(enumerate(SEED_SDS))) for accuracy in ACCURACIES]
    if measured:
        panels.append((f"measured: {measured[0]:.0%}", measured[0], [(len(SEED_SDS), measured[1])]))
    with drawing([]):
        figure = Figure(figsize=(WIDTH, 3.3), layout="constrained")
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, accuracy, sds) in zip(grid, panels, strict=True):
            for place, sd in sds:
                note = " (measured)" if place == len(SEED_SDS) else ""
                axes.plot(
                    seeds, [100 * planned_effect(accuracy, items, count, sd) for count in seeds], color=COLOURS[place],
                    marker=MARKERS[place], linestyle=LINES[place], markersize=3.5, linewidth=1.4,
                    label=f"{100 * sd:.2g}{note}",
                )  # fmt: skip
            finish(axes, title, planned_seeds)
        grid[0].set_ylabel("points")
        lines = {line.get_label(): line for axes in grid for line in axes.get_lines() if line.get_marker() != "None"}
        figure.legend(
            handles=list(lines.values()), loc="outside upper left", ncols=len(lines), handlelength=3,
            title=f"Smallest difference found with 80% power ({items:,} items), by standard deviation between seeds, "
            "in points:", alignment="left",
        )  # fmt: skip
        partial = path.with_name(f".{path.name}.partial")
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(partial, format=path.suffix[1:], dpi=DPI, facecolor="white", metadata=metadata)
        os.replace(partial, path)


def finish(axes: Axes, title: str, planned_seeds: int) -> None:
    """Give a panel its title, its axes on logarithmic scales, and a line at the seeds that are planned."""
    axes.set_title(title)
    axes.set_xscale("log")
    axes.set_yscale("log")
    seeds = [*(count for count in SEED_TICKS if abs(count - planned_seeds) > 0.2 * count), planned_seeds]
    for axis, ticks in ((axes.xaxis, seeds), (axes.yaxis, POINTS)):
        axis.set_major_locator(FixedLocator(ticks))  # where they are inside of the data's limits
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.grid(axis="y")
    axes.set_xlabel("seeds")
    if planned_seeds > 1:
        axes.axvline(planned_seeds, color="#9AA0A6", linewidth=1, zorder=0)
        axes.annotate(
            "planned", (planned_seeds, 1), (3, -3), ("data", "axes fraction"), "offset points", fontsize=8,
            color="#666666", va="top",
        )  # fmt: skip
