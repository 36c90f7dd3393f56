"""Rows of small data sets: JSON lines on disk, and splits on the Hub.

    python -c "from pathlib import Path; from mulfact.data_builders.storage.rows import read_jsonl; \
        print(next(read_jsonl(Path('outputs/smoke/posttrain/sft/train.jsonl'))))"
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mulfact.errors import UserError, first_line
from mulfact.text_files import BadRecord, json_lines

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def read_jsonl(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of a JSON-lines file.

    Raises UserError, with file and line, when it is missing or empty, and for a line that is not a UTF-8 JSON object.
    """
    for number, row in json_lines(path):
        if isinstance(row, BadRecord):
            raise UserError(f"{row.message}; repair or remove the line")
        yield number, row


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write one JSON object a line, as UTF-8, into a folder that is made when it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_hub(name: str, config: str | None = None, split: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a data set on the Hub: of one split, or of all splits, one behind the other.

    Raises UserError when it cannot be had.
    """
    import datasets  # seconds; not paid when the data lies in a file

    with hub_errors(name):
        loaded = datasets.load_dataset(name, config, split=split)
        return list(loaded) if split is not None else [row for part in sorted(loaded) for row in loaded[part]]


def read_hub_configs(name: str, split: str) -> list[dict[str, Any]]:
    """Return the rows of one split of a data set on the Hub, its configurations one behind the other."""
    import datasets

    with hub_errors(name):
        configs = datasets.get_dataset_config_names(name)
    return [row for config in configs for row in read_hub(name, config, split)]


def stream_hub(name: str, split: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of one split of a data set on the Hub as they arrive. Raises UserError when it cannot be had."""
    import datasets

    with hub_errors(name):
        yield from datasets.load_dataset(name, split=split, streaming=True)


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Turn what goes wrong between us and the Hub into a UserError.

    httpx2, requests, aiohttp, fsspec, Arrow and `datasets` each raise their own classes, which have no base in common
    and change from one version to the next: whatever one of these calls raises is the answer of the Hub or its absence.
    """
    try:
        yield
    except Exception as error:
        raise UserError(
            f"{name} is neither a path here nor a data set that the Hub gave ({first_line(error)}); "
            "correct the name, or check the network, HF_ENDPOINT, HF_TOKEN and the proxy"
        ) from error
