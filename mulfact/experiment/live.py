"""One live page of an experiment: every stage of every run in one Trackio project, beside the outputs.

    TRACKIO_DIR=outputs/pilot/tracking trackio show --project pilot    # on this machine, while the grid runs
    TRACKIO_SPACE_ID=someone/mulfact-pilot make experiment SCALE=pilot     # and as a page on the Hub

The grid mirrors what the stages write for themselves (metrics.jsonl, the trainer's states, results), so a stage knows
nothing of it, and a crash costs the page nothing: what the project does not hold yet is added, a step that is trained
again is not. Of SFT and GRPO the page has what stands in their newest checkpoint.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from mulfact.errors import UserError, first_line
from mulfact.experiment.cells import Cell
from mulfact.layout import TRAINED, output_of

Record = tuple[int, dict[str, float]]  # a step and its numbers
TRACKING = "tracking"  # below the folder of the scale
SECONDS_BETWEEN_LOOKS = 30
SECONDS_BETWEEN_UPLOADS = 300


class Pages(Protocol):
    """Where the records go; Trackio, or a stand-in."""

    def last_step(self, run: str) -> int | None: ...
    def add(self, run: str, group: str, records: Sequence[Record]) -> None: ...
    def upload(self) -> None: ...


class Trackio:
    """The Trackio project of an experiment, in `tracking` below its folder; TRACKIO_SPACE_ID is a Space that shows it.

    Raises UserError if Trackio is not installed.
    """

    def __init__(self, folder: Path) -> None:
        if importlib.util.find_spec("trackio") is None:
            raise UserError("LIVE=1 needs trackio: pip install trackio, or run make with LIVE=")
        os.environ["TRACKIO_DIR"] = str(folder / TRACKING)  # read when it is imported
        self.project, self.space = folder.name, os.environ.get("TRACKIO_SPACE_ID")

    def last_step(self, run: str) -> int | None:
        from trackio.sqlite_storage import SQLiteStorage

        return SQLiteStorage.get_max_step_for_run(self.project, run)

    def add(self, run: str, group: str, records: Sequence[Record]) -> None:
        from trackio.sqlite_storage import SQLiteStorage

        numbers, steps = [metrics for _, metrics in records], [step for step, _ in records]
        # In one transaction: a process that is killed here has added all of it or nothing.
        SQLiteStorage.bulk_log(self.project, run, numbers, steps, config={"_Group": group})

    def upload(self) -> None:
        if self.space:
            import trackio

            trackio.sync(self.project, self.space, force=True, sdk="static")


class Live:
    """Mirrors the cells of a grid in `folder` to `pages`, from time to time and at the end (a View of the grid)."""

    def __init__(
        self, folder: Path, cells: Sequence[Cell], pages: Pages, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.folder, self.cells, self.pages, self.now = folder, cells, pages, now
        self.looked = self.uploaded = now()
        self.works = True

    def command(self, line: str) -> None: ...
    def printed(self, lines: Sequence[str]) -> None: ...
    def ended(self, cell: Cell) -> None: ...

    def tick(self) -> None:
        if self.now() - self.looked >= SECONDS_BETWEEN_LOOKS:
            self.look(upload=self.now() - self.uploaded >= SECONDS_BETWEEN_UPLOADS)

    def close(self) -> None:
        self.look(upload=True)

    def look(self, upload: bool) -> None:
        """Add what is new. A page that cannot be written never stops an experiment: it is told once."""
        if not self.works:
            return
        try:
            for cell in self.cells:
                self.mirror(cell)
            if upload:
                self.pages.upload()
                self.uploaded = self.now()
        except Exception as error:  # whatever a tracker's database, or the Hub, may raise
            self.works = False
            print(
                f"the live page is given up, the experiment goes on: {first_line(error)}", file=sys.stderr, flush=True
            )
        self.looked = self.now()

    def mirror(self, cell: Cell) -> None:
        level = self.folder / cell.level
        merged: dict[int, dict[str, float]] = {}  # loss and validation of a step are records of their own
        for step, metrics in records_of(level, cell.stage):
            merged.setdefault(step, {}).update(metrics)
        records = sorted(merged.items())
        if not cell.product(self.folder).is_file():
            records = records[:-1]  # to the newest step more may be written
        last = self.pages.last_step(cell.name) if records else None
        new = [record for record in records if last is None or record[0] > last]
        if new:
            self.pages.add(cell.name, cell.level.partition("/")[0], new)


def records_of(level: Path, stage: str) -> Iterator[Record]:
    """Yield what a stage has written so far; nothing for a stage without numbers of its own."""
    output = output_of(level, stage)
    if stage == "pretrain":
        metrics = output / "metrics.jsonl"
        metrics = metrics if metrics.is_file() else level / "pretrain_checkpoints" / "metrics.jsonl"
        yield from (numbers(record) for record in read_lines(metrics))
    elif stage in TRAINED:
        states = [output / "trainer_state.json", *level.glob(f"{stage}_training/checkpoint-*/trainer_state.json")]
        newest = max((path for path in states if path.is_file()), key=lambda path: path.stat().st_mtime, default=None)
        yield from (numbers(record) for record in json.loads(newest.read_text())["log_history"]) if newest else ()
    elif stage == "eval":
        for step, trained in enumerate(TRAINED):  # by checkpoint: 0 is after pretraining
            found = [json.loads(path.read_text())["tasks"] for path in sorted(output.glob(f"{trained}/*_results.json"))]
            shares = {f"{task}/accuracy": entry["accuracy"] for tasks in found for task, entry in tasks.items()}
            if shares:
                yield step, shares


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a file of JSON lines that may be growing."""
    for line in path.read_text().splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except ValueError:  # half a line
            return


def numbers(record: dict[str, Any], prefix: str = "") -> Record:
    """Return the step of a record, and its numbers with nested names joined by a slash."""
    found: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= numbers(value, f"{prefix}{key}/")[1]
        elif isinstance(value, int | float) and key != "step":
            found[prefix + key] = value
    return int(record.get("step", 0)), found
