"""How processes share the steps of SFT and GRPO: a recipe says what one process does, several do the same together.

    divide({"per_device_train_batch_size": 64, "gradient_accumulation_steps": 4}, 8)   # Share(rows=32, accumulation=1)

A step has the same rows, whoever computes them, so that a recipe, what is finished by it and what is resumed do not
depend on the number of processes; TRL's command gets the share of one process as flags.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mulfact.errors import UserError
from mulfact.provenance import LAUNCH, write_json
from mulfact.text_files import read_json

ROWS, ACCUMULATION = "per_device_train_batch_size", "gradient_accumulation_steps"
GENERATION = ("steps_per_generation", "generation_batch_size")  # say the size of a generation in other terms


class Share(NamedTuple):
    """What one process does of a step: `rows` at a time, so many times."""

    rows: int
    accumulation: int


def divide(section: Mapping[str, Any], processes: int, stage: str = "sft") -> Share:
    """Return the share of one of `processes` in a step of an SFT or GRPO recipe: fewer passes, then smaller ones.

    Raises UserError where they cannot share it evenly.
    """
    rows, passes = section[ROWS], section.get(ACCUMULATION, 1)
    fewer = 1 if any(section.get(key) for key in GENERATION) else math.gcd(passes, processes)
    smaller = processes // fewer
    if rows % smaller:
        raise UserError(
            f"PROCESSES={processes} cannot share a step of {stage}: {stage}.{ACCUMULATION} is {passes} and "
            f"{stage}.{ROWS} {rows}, which is no multiple of {smaller}; choose another PROCESSES, or other divisors of "
            "the same step"
        )
    return Share(rows // smaller, passes // fewer)


def flags(section: Mapping[str, Any], processes: int, stage: str) -> list[str]:
    """Return the flags by which TRL's command takes the share of one of several processes; none for a single one."""
    if processes == 1:
        return []
    share = divide(section, processes, stage)
    return [f"--{ROWS} {share.rows}", f"--{ACCUMULATION} {share.accumulation}"]


def record_launch(folder: Path, processes: int) -> None:
    """Write how many processes share the steps, beside what they make."""
    write_json(folder / LAUNCH, {"processes": processes})


def launched(folder: Path) -> int | None:
    """Return how many processes shared the steps of a stage's folder; None where nothing was recorded."""
    path = folder / LAUNCH
    return int(read_json(path)["processes"]) if path.is_file() else None
