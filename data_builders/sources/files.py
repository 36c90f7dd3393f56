"""Records of local files: .txt, .jsonl and .parquet, the first two also as .gz and .zst.

    python -c "from mulfact.data_builders.sources.files import find_files, read_file; \
        print(next(read_file(find_files(['README*.txt'])[0], ['text'])))"

What cannot be read is never passed over in silence: a file that is corrupt, cut short or without the column raises, a
single bad record is yielded as a BadRecord for the caller to refuse or to count.
"""

import glob
import io
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mulfact.errors import UserError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
FORMATS = (".txt", ".jsonl", ".parquet")
EXPECTED = "a .txt, .jsonl or .parquet file (also .txt.gz, .jsonl.zst, ...)"


@dataclass(frozen=True)
class BadRecord:
    """A record that cannot be read: `reason` for the count, `message` for the error."""

    reason: str
    message: str


Record = str | Mapping[str, Any] | BadRecord


def find_files(patterns: Sequence[str]) -> list[Path]:
    """Return the files that the paths, folders and globs name, each pattern's sorted by name.

    Raises UserError for a pattern that matches nothing, a file of another format, and one that is named twice.
    """
    paths: list[Path] = []
    for pattern in patterns:
        if Path(pattern).is_dir():
            found = [path for path in sorted(Path(pattern).rglob("*")) if file_format(path) in FORMATS]
        else:
            found = [Path(name) for name in sorted(glob.glob(pattern, recursive=True))]
        if not found:
            raise UserError(f"{pattern} matches no file; expected {EXPECTED}")
        paths += found
    for index, path in enumerate(paths):
        if file_format(path) not in FORMATS:
            raise UserError(f"{path}: cannot read this kind of file; expected {EXPECTED}")
        if path in paths[:index]:
            raise UserError(f"{path} is named twice")
    return paths


def file_format(path: Path) -> str:
    """Return the suffix that says what a file holds: `.jsonl` for a.jsonl.zst."""
    return path.with_suffix("").suffix if path.suffix in COMPRESSIONS else path.suffix


def read_file(path: Path, columns: Sequence[str], separator: str = "") -> Iterator[Record]:
    """Yield the records of a file: mappings, or for .txt the documents that lines of `separator` alone divide.

    Raises UserError when the file is missing, empty, corrupt or cut short, or a parquet file has not the columns.
    """
    count = 0
    try:
        if file_format(path) == ".parquet":
            records = _read_parquet(path, columns)
        else:
            # Arrow's decompression reports a stream that is cut short, which Python's own reader of .zst does not.
            stream = pa.input_stream(str(path), compression=COMPRESSIONS.get(path.suffix))
            lines = io.BufferedReader(stream, buffer_size=1 << 20)
            records = _read_jsonl(path, lines) if file_format(path) == ".jsonl" else _read_text(path, lines, separator)
        for record in records:
            count += 1
            yield record
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read beyond record {count} ({error}); fetch or write it again") from error
    if count == 0:
        raise UserError(f"{path} is empty: remove it, or fetch or write it again")


def _read_jsonl(path: Path, lines: io.BufferedReader) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            record = json.loads(line.decode())
        except UnicodeDecodeError as error:
            yield BadRecord("not_utf8", f"{path}, line {number}: not UTF-8 ({error.reason} at byte {error.start})")
        except json.JSONDecodeError as error:
            yield BadRecord("not_json", f"{path}, line {number}: not JSON ({error.msg} at column {error.colno})")
        else:
            if isinstance(record, dict):
                yield record
            else:
                yield BadRecord("not_json", f"{path}, line {number}: expected a JSON object, found {line[:60]!r}")


def _read_text(path: Path, lines: io.BufferedReader, separator: str) -> Iterator[Record]:
    mark = separator.encode()
    document: list[bytes] = []
    # One mark more than the file has ends its last document.
    for number, line in enumerate(itertools.chain(lines, [mark]), 1):
        if line.strip() != mark:
            document.append(line)
        elif document:
            raw, document = b"".join(document).strip(b"\r\n"), []
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                what = f"is not UTF-8 ({error.reason} at its byte {error.start})"
                yield BadRecord("not_utf8", f"{path}: the document that ends before line {number} {what}")
            else:
                yield text


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    with pq.ParquetFile(path) as file:
        if missing := [column for column in columns if column not in file.schema_arrow.names]:
            raise UserError(f"{path} has no column {missing[0]!r}; its columns: {', '.join(file.schema_arrow.names)}")
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=list(columns)):
            for row in zip(*(batch.column(name) for name in columns), strict=True):
                number += 1
                try:
                    yield {name: value.as_py() for name, value in zip(columns, row, strict=True)}
                except UnicodeDecodeError as error:
                    yield BadRecord("not_utf8", f"{path}, row {number}: not UTF-8 ({error.reason})")
