"""What a person sees of a running grid: a table that is redrawn in a terminal, lines elsewhere."""

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mulfact.experiment.cells import Cell
from mulfact.experiment.state import Grid
from mulfact.modeling.pretraining.progress import clock

SECONDS_BETWEEN_LINES = 15
SHOWN_LOG_LINES = 6
SIGNS = {
    "done": ("✓", "green"), "gated": ("⊘", "yellow"), "running": ("▶", "cyan"), "to do": ("·", "dim"),
    "failed": ("✗", "bold red"),
}  # fmt: skip


class View(Protocol):
    """What the driver tells: a line of make, what a stage printed, a cell that is done, a second that has passed."""

    def command(self, line: str) -> None: ...
    def printed(self, lines: Sequence[str]) -> None: ...
    def ended(self, cell: Cell) -> None: ...
    def tick(self) -> None: ...
    def close(self) -> None: ...


class Together:
    """Several views that are told the same."""

    def __init__(self, *views: View) -> None:
        self.views = views

    def command(self, line: str) -> None:
        for view in self.views:
            view.command(line)

    def printed(self, lines: Sequence[str]) -> None:
        for view in self.views:
            view.printed(lines)

    def ended(self, cell: Cell) -> None:
        for view in self.views:
            view.ended(cell)

    def tick(self) -> None:
        for view in self.views:
            view.tick()

    def close(self) -> None:
        for view in self.views:
            view.close()


class Lines:
    """Lines for a file or a pipe: commands, ends of cells, and how running cells stand from time to time."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.follow = grid.jobs == 1  # the lines of one job are worth reading; those of several would be mixed
        self.shown = time.time()

    def command(self, line: str) -> None:
        print(line, flush=True)

    def printed(self, lines: Sequence[str]) -> None:
        if self.follow and lines:
            print(*lines, sep="\n", flush=True)

    def ended(self, cell: Cell) -> None:
        print(f"{told(self.grid, cell)}; {self.grid.summary()}", flush=True)
        self.shown = time.time()

    def tick(self) -> None:
        if time.time() - self.shown >= SECONDS_BETWEEN_LINES:
            self.shown = time.time()
            for cell in self.grid.in_state("running"):
                print(f"running: {cell.name}  {describe(self.grid, cell)}")
            print(self.grid.summary(), flush=True)

    def close(self) -> None:
        pass


class Screen:
    """A table in a terminal, redrawn in place: a row for each run, a column for each stage."""

    def __init__(self, grid: Grid, console: Console) -> None:
        self.grid, self.console = grid, console
        self.live = Live(console=console, get_renderable=self.draw, auto_refresh=False)
        self.live.start()

    def command(self, line: str) -> None:
        self.console.print(Text(line), soft_wrap=True)

    def printed(self, lines: Sequence[str]) -> None:
        pass  # the newest ones stand under the table

    def ended(self, cell: Cell) -> None:
        self.console.print(Text(told(self.grid, cell)))

    def tick(self) -> None:
        self.live.refresh()

    def close(self) -> None:
        self.live.stop()

    def draw(self) -> Group:
        running = self.grid.in_state("running")
        lines = [Text(f"{cell.name}  {describe(self.grid, cell)}", style="cyan") for cell in running]
        log = list(self.grid.logs[running[0]].lines)[-SHOWN_LOG_LINES:] if len(running) == 1 else []
        lines += [Text(line, style="dim", no_wrap=True, overflow="ellipsis") for line in log]
        return Group(table(self.grid), *lines, Text(self.grid.summary(), style="bold"))


def table(grid: Grid) -> Table:
    """Return the grid: what all runs share in the first rows, then a row for each run."""
    view = Table(box=None, pad_edge=False)
    levels = dict.fromkeys(cell.level for cell in grid.cells)
    rows = {level: [cell for cell in grid.cells if cell.level == level] for level in levels}
    for _ in range(1 + max(map(len, rows.values()))):
        view.add_column("")
    for level, cells in rows.items():
        view.add_row(level or "shared", *(mark(grid, cell) for cell in cells))
    return view


def mark(grid: Grid, cell: Cell) -> Text:
    """Return a cell's stage in the colour of its state, with its share when it is running."""
    state = grid.states[cell]
    sign, style = SIGNS[state]
    progress = grid.progress(cell) if state == "running" else None
    note = f" {progress.step / progress.steps:.0%}" if progress else " gated" if state == "gated" else ""
    return Text(f"{sign} {cell.stage}{note}", style=style)


def told(grid: Grid, cell: Cell) -> str:
    """Return how a cell has come to its end, and after what time."""
    return f"{grid.states[cell]}: {cell.name}, {clock(time.time() - grid.begun[cell])}"


def describe(grid: Grid, cell: Cell) -> str:
    """Return a running cell's step and rate, or the last line that it printed."""
    progress = grid.progress(cell)
    if progress is not None:
        return f"step {progress.step}/{progress.steps}  {progress.text}"
    lines = grid.logs[cell].lines
    return f"for {clock(time.time() - grid.begun[cell])}  {lines[-1][:100] if lines else ''}".rstrip()
