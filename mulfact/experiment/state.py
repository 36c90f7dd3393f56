"""How an experiment's grid stands, by what make prints and by the products and logs in the output folders."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mulfact.experiment.cells import Cell, Log, Progress, cells_in, seconds_taken
from mulfact.layout import TRAINED
from mulfact.modeling.pretraining.progress import clock
from mulfact.provenance import write_json

# What make prints of a recipe that failed: `make: *** [Makefile:96: outputs/smoke/corpus/provenance.json] Error 1`.
FAILURE = re.compile(r"\*\*\* \[(?:[^\]]*: )?([^\]]+)\] (.+)")


class Grid:
    """The state of each cell: done, running, to do, failed, or gated: GRPO that its gate stopped; its run goes on.

    `price_per_hour` is that of all devices, in dollars; `target` is what make is asked for; `planned` is about how many
    seconds a stage takes, for those that none has been measured of.
    """

    def __init__(
        self,
        folder: Path,
        cells: Sequence[Cell],
        jobs: int,
        price_per_hour: float | None,
        target: str = "every_run",
        planned: Mapping[str, float] | None = None,
    ) -> None:
        self.folder, self.cells, self.jobs, self.price_per_hour = folder, list(cells), jobs, price_per_hour
        self.target = target
        self.states = {cell: self.ended(cell) for cell in self.cells}
        self.begun: dict[Cell, float] = {}
        self.logs: dict[Cell, Log] = {}  # a command for several cells has one log
        self.failures: dict[Cell, str] = {}
        self.before: dict[Cell, list[int | None]] = {}
        self.started = time.time()
        self.record = folder / "logs" / "elapsed.json"  # of earlier calls, for the cost
        self.earlier = read_elapsed(self.record)
        self.planned = dict(planned or {})

    def expect(self, commands: str) -> None:
        """Mark what `make -n` would run as still to do."""
        for cell in cells_in(commands, self.folder):
            if cell in self.states:
                self.states[cell] = "to do"
                self.before[cell] = [modified(path) for path in cell.ends(self.folder)]

    def ended(self, cell: Cell) -> str:
        """Return the state of a cell that has nothing left to do."""
        stopped = cell.stopped(self.folder)
        return "gated" if stopped is not None and stopped.is_file() else "done"

    def read(self, line: str) -> None:
        """Take in a line of make: a command that starts, or a cell that failed."""
        named = [cell for cell in cells_in(line, self.folder) if self.states.get(cell) == "to do"]
        log = Log(named[0].log(self.folder)) if named else None
        for cell in named:
            self.states[cell], self.begun[cell] = "running", time.time()
            assert log is not None
            self.logs[cell] = log
        if failure := FAILURE.search(line):
            self.fail(failure[1], failure[2])

    def fail(self, target: str, reason: str) -> None:
        """Mark the cell whose product is `target` as failed, and those that its command was also to bring."""
        logs = [log for cell, log in self.logs.items() if target in map(str, cell.ends(self.folder))]
        for cell in self.in_state("running"):
            if self.logs[cell] in logs:
                brought = str(cell.product(self.folder)) != target and self.is_newest(cell)
                self.states[cell] = "done" if brought else "failed"
                if not brought:
                    self.failures[cell] = reason

    def is_newest(self, cell: Cell) -> bool:
        """Return whether a cell's product is newer than its recipe and than what training left of its run."""
        trained = [other for other in self.cells if other.level == cell.level and other.stage in TRAINED]
        run = [path for other in trained for path in other.ends(self.folder)]
        times = [modified(path) or 0 for path in (cell.recipe(self.folder), *run)]
        return (modified(cell.product(self.folder)) or 0) >= max(times)

    def look(self) -> list[Cell]:
        """Return the running cells whose product has appeared since the last look; they are at their end."""
        ended = [cell for cell in self.in_state("running") if self.has_ended(cell)]
        self.states.update({cell: self.ended(cell) for cell in ended})
        self.record.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.record, {"seconds": round(self.earlier + self.elapsed(), 1)})
        return ended

    def has_ended(self, cell: Cell) -> bool:
        now = [modified(path) for path in cell.ends(self.folder)]
        return any(new not in (None, old) for new, old in zip(now, self.before[cell], strict=True))

    def settle(self) -> None:
        """Make has ended without an error: what it left alone needed nothing."""
        self.states.update({cell: self.ended(cell) for cell in self.in_state("running")})

    def in_state(self, *states: str) -> list[Cell]:
        return [cell for cell in self.cells if self.states[cell] in states]

    def progress(self, cell: Cell) -> Progress | None:
        return self.logs[cell].progress if cell in self.logs else None

    def elapsed(self) -> float:
        return time.time() - self.started

    def seconds_left(self) -> tuple[float, list[str]]:
        """Return an estimate of the seconds to come, and the stages that it leaves out because none has ended yet."""
        taken: dict[str, list[float]] = {"ledger": [0.0]}
        for cell in self.in_state("done"):
            if (seconds := seconds_taken(cell.product(self.folder))) is not None:
                taken.setdefault(cell.stage, []).append(seconds)
        left, unknown = 0.0, []
        for cell in self.in_state("running", "to do"):
            progress = self.progress(cell) if self.states[cell] == "running" else None
            if progress is not None and progress.seconds_left is not None:
                left += progress.seconds_left
            elif cell.stage in taken or cell.stage in self.planned:
                known = taken.get(cell.stage) or [self.planned[cell.stage]]
                mean = sum(known) / len(known)
                spent = time.time() - self.begun[cell] if self.states[cell] == "running" else 0.0
                left += max(0.0, mean - spent)
            else:
                unknown.append(cell.stage)
        return left / max(1, min(self.jobs, len(self.in_state("running", "to do")))), list(dict.fromkeys(unknown))

    def summary(self) -> str:
        """Return how many cells are in which state, the time, and the cost if a price is known."""
        counts = {state: len(self.in_state(state)) for state in ("done", "gated", "running", "to do", "failed")}
        parts = [f"{counts.pop('done')} of {len(self.cells)} cells done"]
        parts += [f"{count} {state}" for state, count in counts.items() if count]
        parts.append(f"elapsed {clock(self.elapsed())}")
        left, unknown = self.seconds_left()
        if counts["running"] or (counts["to do"] and not counts["failed"]):
            parts.append(time_left(left, unknown))
        if self.price_per_hour is not None:
            spent, ahead = (seconds / 3600 * self.price_per_hour for seconds in (self.earlier + self.elapsed(), left))
            parts.append(f"${spent:,.2f} so far" + ("" if unknown else f", ${ahead:,.2f} to come"))
        return ", ".join(parts)


def time_left(seconds: float, unknown: Sequence[str]) -> str:
    """Return the time left in words, with the stages whose time nobody knows yet."""
    if not unknown:
        return f"about {clock(seconds)} left"
    if seconds < 1:
        return f"time left not known before {unknown[0]} has run once"
    return f"about {clock(seconds)} left, without {', '.join(unknown)}"


def read_elapsed(record: Path) -> float:
    """Return the seconds of earlier calls; 0 where their record was emptied: only the cost loses by it."""
    try:
        return float(json.loads(record.read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def modified(path: Path) -> int | None:
    return path.stat().st_mtime_ns if path.is_file() else None
