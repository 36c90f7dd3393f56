"""Read the files of a finished run: one that is missing or damaged is named, with what writes it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mulfact.errors import UserError

Content = TypeVar("Content")


def read_file(run: Path, target: str, name: str, parse: Callable[[Path], Content]) -> Content:
    """Return what `parse` makes of the file `name` in the output of a make target ("" where that is one file).

    `run` is the run's folder. Raises UserError when the file is missing or `parse` does not find what it expects.
    """
    path = output_of(run, target) / name
    try:
        return parse(path)
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error!r}): copy it back, or {make_again(run, target)}") from error


def output_of(run: Path, target: str) -> Path:
    """Return what a make target of a run, or of its arm, writes."""
    if target == "tokens":
        return run.parent / target
    return run / {"ledger": "ledger.json", "readiness": "readiness", "eval": "eval"}.get(target, f"{target}_final")


def make_command(run: Path, target: str) -> str:
    scale, condition, seed = run.resolve().parts[-3:]
    return f"make {target} SCALE={scale} CONDITION={condition} SEED={seed.removeprefix('seed-')}"


def make_again(run: Path, target: str) -> str:
    """Return what to do so that a make target of a run writes its output anew."""
    return f"delete {output_of(run, target)} and run {make_command(run, target)}"


def parse_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise TypeError(f"a mapping was expected, found {type(content).__name__}")
    return content


def parse_json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
