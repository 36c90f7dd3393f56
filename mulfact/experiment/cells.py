"""The cells of an experiment's grid, arm x seed x stage, and what their files say: product, log, progress.

    cell = Cell("mulfact/seed-0", "sft")
    cell.product(Path("outputs/smoke"))      # outputs/smoke/mulfact/seed-0/sft_final/provenance.json

Which cell needs which is not said here: the Makefile knows it.
"""

import json
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mulfact.layout import (
    CONDITION_STAGES,
    RUN_STAGES,
    SEED,
    SHARED_STAGES,
    STOPPED,
    last_written,
    log_file,
    recipe_file,
    run_level,
)
from mulfact.provenance import PROVENANCE

# Pretraining's lines (modeling/pretraining/progress.py); the trainer's bar, without a name before its share; TRL's log.
STEP_LINE = re.compile(r"step +(\d+)/(\d+)  (loss .*)ETA ([\d:]+)")
BAR = re.compile(r"(?:^|[\r\n]) *\d+%\|[^|]*\| (\d+)/(\d+) \[[\d:]+<([\d:?]+), ([^\]]+)\]")
TRL_LOSS = re.compile(r"\{'loss': [^\n]*")
TRL_VALUE = re.compile(r"'(loss|reward)': '?([^',}]+)")


@dataclass(frozen=True)
class Cell:
    """One stage: of a run (level mulfact/seed-0), of an arm (mulfact) or shared by all of them (empty)."""

    level: str
    stage: str

    @property
    def name(self) -> str:
        return f"{self.level} {self.stage}".strip()

    def product(self, folder: Path) -> Path:
        """Return the file that the stage writes last."""
        return last_written(folder / self.level, self.stage)

    def stopped(self, folder: Path) -> Path | None:
        """Return the file that stands for GRPO's product where the gate has stopped it; None for other stages."""
        return folder / self.level / STOPPED if self.stage == "grpo" else None

    def ends(self, folder: Path) -> list[Path]:
        """Return the files of which any new one says that the stage has come to its end."""
        return [path for path in (self.product(folder), self.stopped(folder)) if path is not None]

    def recipe(self, folder: Path) -> Path:
        """Return the flat recipe that the stage reads."""
        return recipe_file(folder / self.level, self.stage)

    def log(self, folder: Path) -> Path:
        """Return where the Makefile sends what the stage prints."""
        return log_file(folder / self.level, self.stage)

    def variables(self) -> list[str]:
        """Return the make variables that name the cell."""
        condition, _, seed = self.level.partition(f"/{SEED}")
        return [*([f"CONDITION={condition}"] if condition else []), *([f"SEED={seed}"] if seed else [])]


@dataclass(frozen=True)
class Progress:
    """How far a running stage is: `text` for a person, `seconds_left` where the stage says it."""

    step: int
    steps: int
    text: str
    seconds_left: float | None


def cells_of(runs: Iterable[tuple[str, int]], stages: Sequence[str] = RUN_STAGES) -> list[Cell]:
    """Return every cell that the `stages` of the runs, each a condition and a seed, come to; what is shared first."""
    cells = [Cell("", stage) for stage in SHARED_STAGES]
    for condition, seed in runs:
        cells += [Cell(condition, stage) for stage in CONDITION_STAGES]
        cells += [Cell(run_level(condition, seed), stage) for stage in stages]
    return list(dict.fromkeys(cells))


def cells_in(text: str, folder: Path) -> list[Cell]:
    """Return the cells whose recipes a command line names, in its order; not those whose settings it only looks up."""
    recipes = re.findall(rf"(?<!--evaluation ){re.escape(str(folder))}(?:/([\w./-]+))?/recipes/(\w+)\.yaml", text)
    return list(dict.fromkeys(Cell(level, stage) for level, stage in recipes))


def seconds_taken(product: Path) -> float | None:
    """Return how long a finished stage took by its own record, or None if it keeps none that can be read."""
    try:
        return json.loads(product.read_text(encoding="utf-8")).get("seconds") if product.name == PROVENANCE else None
    except (OSError, ValueError, AttributeError):
        return None


class Log:
    """What a stage has printed since it was started: its last lines, and how far it is by them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = path.stat().st_size if path.is_file() else 0
        self.lines: deque[str] = deque(maxlen=20)
        self.progress: Progress | None = None
        self.loss = ""

    def read(self) -> list[str]:
        """Return the lines that have come since the last call; of a redrawn bar, its last state."""
        if not self.path.is_file():
            return []
        with self.path.open("rb") as file:
            file.seek(self.position)
            text = file.read()
        self._look_for_progress(text.decode(errors="replace"))
        whole = text[: text.rfind(b"\n") + 1]
        self.position += len(whole)
        ended = [line.rstrip().rsplit("\r", 1)[-1] for line in whole.decode(errors="replace").split("\n")[:-1]]
        self.lines.extend(line for line in ended if line.strip())
        return ended

    def _look_for_progress(self, text: str) -> None:
        for step, steps, said, eta in STEP_LINE.findall(text)[-1:]:
            self.progress = Progress(int(step), int(steps), f"{said}ETA {eta}", clock_seconds(eta))
        for losses in TRL_LOSS.findall(text)[-1:]:
            self.loss = "".join(f"{name} {value}  " for name, value in TRL_VALUE.findall(losses))
        for step, steps, left, rate in BAR.findall(text)[-1:]:
            seconds = None if "?" in left else clock_seconds(left)
            self.progress = Progress(int(step), int(steps), f"{self.loss}{rate.strip()}  ETA {left}", seconds)


def clock_seconds(text: str) -> float:
    """Return the seconds of 1:02:03 or 2:03."""
    seconds = 0
    for part in text.split(":"):
        seconds = 60 * seconds + int(part)
    return seconds
