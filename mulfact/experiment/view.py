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
LEAST_LINES = 3  # of what running cells say, however many runs there are
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
    """Lines for a file or a pipe: commands, ends of cells, first steps, and how cells stand from time to time."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.follow = grid.jobs == 1  # the lines of one job are worth reading; those of several would be mixed
        self.shown = time.time()
        self.stepped: set[Cell] = set()

    def command(self, line: str) -> None:
        print(line, flush=True)

    def printed(self, lines: Sequence[str]) -> None:
        if self.follow and lines:
            print(*lines, sep="\n", flush=True)

    def ended(self, cell: Cell) -> None:
        print(f"{told(self.grid, cell)}; {self.grid.summary()}", flush=True)
        self.shown = time.time()

    def tick(self) -> None:
        running = self.grid.in_state("running")
        first = [cell for cell in running if cell not in self.stepped and self.grid.progress(cell)]
        self.stepped.update(first)
        due = time.time() - self.shown >= SECONDS_BETWEEN_LINES
        for cell in running if due else first:
            print(f"running: {cell.name}  {describe(self.grid, cell)}", flush=True)
        if due:
            self.shown = time.time()
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
        """Return what fits the terminal: the summary first, then the cells, then what those that run are saying."""
        width, height = self.console.size
        head = [Text(self.grid.summary(), style="bold"), *above_the_runs(self.grid)]
        running = self.grid.in_state("running")
        lines = [one_line(f"{cell.name}  {describe(self.grid, cell)}", "cyan") for cell in running]
        room = height - 1 - sum(len(text.wrap(self.console, width)) for text in head)
        runs = runs_table(self.grid, room - 1 - min(len(lines), LEAST_LINES))
        if len(running) == 1:
            log = list(self.grid.logs[running[0]].lines)[-SHOWN_LOG_LINES:]
            lines += [one_line(line, "dim") for line in log]
        return Group(*head, runs, *lines[: max(0, room - runs.row_count - 1)])


def one_line(text: str, style: str) -> Text:
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def above_the_runs(grid: Grid) -> list[Text]:
    """Return a line for the cells that all runs share, and one for those of each arm."""
    shared = [cell for cell in grid.cells if not cell.level]
    arms: dict[str, list[Cell]] = {}
    for cell in grid.cells:
        if cell.level and "/" not in cell.level:
            arms.setdefault(cell.level, []).append(cell)
    lines = [Text("  ").join(mark(grid, cell, cell.stage) for cell in shared)] if shared else []
    if arms:
        names = ", ".join(cell.stage for cell in next(iter(arms.values())))
        marks = [Text(f"{arm} ").append_text(Text("").join(sign(grid, one) for one in arms[arm])) for arm in arms]
        lines.append(Text("  ").join([Text(f"{names}:", style="dim"), *marks]))
    return lines


def runs_table(grid: Grid, most: int) -> Table:
    """Return a row for each run and a column for each stage; of more than `most` runs those that are not done."""
    rows: dict[str, list[Cell]] = {}
    for cell in grid.cells:
        if "/" in cell.level:
            rows.setdefault(cell.level, []).append(cell)
    shown = list(rows)
    if len(shown) > most:
        open_runs = [run for run in shown if any(grid.states[cell] not in ("done", "gated") for cell in rows[run])]
        shown = open_runs[: max(1, most - 1)]
    view = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    view.add_column("", no_wrap=True, overflow="ellipsis")
    for cell in next(iter(rows.values()), []):
        view.add_column(cell.stage, no_wrap=True)
    for run in shown:
        view.add_row(run, *(mark(grid, cell) for cell in rows[run]))
    if len(shown) < len(rows):
        view.add_row(Text(f"and {len(rows) - len(shown)} more", style="dim"))
    return view


def sign(grid: Grid, cell: Cell) -> Text:
    """Return the sign of a cell's state in its colour."""
    return Text(*SIGNS[grid.states[cell]])


def mark(grid: Grid, cell: Cell, name: str = "") -> Text:
    """Return the sign of a cell's state, with its name if it is given, and with its share when it is running."""
    state = grid.states[cell]
    progress = grid.progress(cell) if state == "running" else None
    note = f"{progress.step / progress.steps:.0%}" if progress else "gated" if state == "gated" else ""
    return Text(" ".join(word for word in (SIGNS[state][0], name, note) if word), style=SIGNS[state][1])


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
