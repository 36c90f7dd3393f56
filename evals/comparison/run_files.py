"""Read the files of a finished run: one that is missing or damaged is named, with what writes it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from mulfact.errors import UserError
from mulfact.layout import make_again, output_of_run

Content = TypeVar("Content")


def read_file(run: Path, target: str, name: str, parse: Callable[[Path], Content]) -> Content:
    """Return what `parse` makes of the file `name` in the output of a make target ("" where that is one file).

    `run` is the run's folder. Raises UserError when the file is missing or `parse` does not find what it expects.
    """
    path = output_of_run(run, target) / name
    try:
        return parse(path)
    except (OSError, ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error!r}): copy it back, or {make_again(run, target)}") from error


def parse_json(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text())
    if not isinstance(content, dict):
        raise TypeError(f"a mapping was expected, found {type(content).__name__}")
    return content


def parse_json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
