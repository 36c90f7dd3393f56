"""Files of text as people's folders hold them, opened and read line by line in the same way by every stage.

    python -c "from pathlib import Path; from mulfact.text_files import json_lines; \
        print(next(json_lines(Path('data/gsm8k/train.jsonl'))))"

What is legal is read: byte order marks, blank lines, CRLF, capital suffixes, several streams in one .gz or .zst, zeros
behind a .gz.
"""

import gzip
import io
import itertools
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from mulfact.errors import UserError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COMPRESSIONS = (".gz", ".zst")
UNREADABLE = (OSError, EOFError, zlib.error, pa.ArrowException)
# What a file of text never begins with.
OTHER_CONTENT = {
    b"\x1f\x8b": "holds gzip: let its name end in .gz",
    b"\x28\xb5\x2f\xfd": "holds zstd: let its name end in .zst",
    b"PAR1": "holds Parquet: let its name end in .parquet",
    b"\xff\xfe": "is UTF-16: convert it to UTF-8",
    b"\xfe\xff": "is UTF-16: convert it to UTF-8",
}


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read: `reason` for the count, `message` (with file and line) for the error."""

    reason: str
    message: str


@contextmanager
def told_with_file(path: Path, count: Callable[[], int]) -> Iterator[None]:
    """Turn what cannot be opened or unpacked into a UserError that says after how many records."""
    try:
        yield
    except UNREADABLE as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise UserError(f"{path} cannot be read beyond record {count()} ({reason}); fetch or write it again") from error


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[bytes]]:
    """Open a file for its lines as bytes, unpacked, behind its byte order mark. Raises UserError for other content."""
    suffix = path.suffix.lower()
    if suffix == ".gz":  # Arrow takes zeros behind a stream for a stream that is cut short
        file: Any = gzip.GzipFile(path)
    elif suffix == ".zst":  # Python's own reader does not tell that a stream is cut short
        file = pa.input_stream(str(path), compression="zstd")
    else:
        file = path.open("rb")
    with io.BufferedReader(file, buffer_size=1 << 20) as lines:
        first = lines.readline()
        for start, content in OTHER_CONTENT.items():
            if first.startswith(start):
                raise UserError(f"{path} {content}")
        yield itertools.chain([first.removeprefix(BYTE_ORDER_MARK)] if first else [], lines)


def json_lines(path: Path, columns: Sequence[str] | None = None) -> Iterator[tuple[int, dict[str, Any] | BadRecord]]:
    """Yield (line number, object or bad record) of a JSON-lines file, blank lines left out.

    Half a surrogate pair, which JSON can write and text cannot hold, is a bad record where it stands in `columns`
    (None: in any). Raises UserError for a file that is missing or empty or cannot be unpacked.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise UserError(f"{path} {found}: expected a file with one JSON object a line")
    count = 0
    with told_with_file(path, lambda: count), open_lines(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                count += 1
                yield number, parse_record(line, f"{path}, line {number}", columns)
    if count == 0:
        raise UserError(f"{path} is empty: remove it, or fetch or write it again")


def parse_record(line: bytes, where: str, columns: Sequence[str] | None = None) -> dict[str, Any] | BadRecord:
    """Return the JSON object in a line, or what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return BadRecord("not_utf8", f"{where}: not UTF-8 ({error.reason} at byte {error.start})")
    except json.JSONDecodeError as error:
        return BadRecord("not_json", f"{where}: not JSON ({error.msg} at column {error.colno})")
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
        return BadRecord("not_json", f"{where}: JSON that is too long or too deep to read ({str(error)[:60]})")
    if not isinstance(record, dict):
        return BadRecord("not_json", f"{where}: expected a JSON object, found {line[:60]!r}")
    if b"\\u" in line:
        for column, value in record.items():
            if (columns is None or column in columns) and (half := half_pair(value)):
                return BadRecord("not_utf8", f"{where}: {column!r} holds {half!r}, half a surrogate pair: no character")
    return record


def half_pair(value: Any) -> str | None:
    """Return half a surrogate pair that stands alone somewhere in a JSON value; None when there is none."""
    if isinstance(value, str):
        return next((letter for letter in value if "\ud800" <= letter <= "\udfff"), None)
    if isinstance(value, dict | list):
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next((half for half in map(half_pair, parts) if half), None)
    return None


def read_json(path: Path, remedy: str = "fetch or write it again") -> Any:
    """Return what a JSON file holds.

    Raises UserError, with the file and `remedy`, when it cannot be read, is not UTF-8 JSON or holds no text.
    """
    try:
        value = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: not UTF-8 JSON ({error}); {remedy}") from error
    if half := half_pair(value):
        raise UserError(f"{path} holds {half!r}, half a surrogate pair: no character; correct it")
    return value
