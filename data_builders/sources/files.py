"""Records of local files: .txt, .jsonl and .parquet, the first two also as .gz and .zst.

    python -c "from pathlib import Path; from mulfact.data_builders.sources.files import read_file; \
        print(next(read_file(Path('data/corpus/wikitext2_test.txt'), ['text'])))"

What cannot be read is never passed over in silence: a file that is corrupt, cut short or without the column raises, a
single bad record is yielded as a BadRecord for the caller to refuse or to count.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from mulfact.data_builders.sources.finding import file_format
from mulfact.errors import UserError
from mulfact.text_files import BadRecord, json_lines, open_lines, told_with_file


@dataclass(frozen=True)
class Row:
    """A record with columns; `where` names file and line for an error."""

    where: str
    columns: Mapping[str, Any]


Record = str | Row | BadRecord


def read_file(path: Path, columns: Sequence[str], separator: str = "") -> Iterator[Record]:
    """Yield the records of a file: rows, or for .txt the documents that lines of `separator` alone divide.

    Raises UserError when the file is missing, empty, corrupt or cut short, or a parquet file has not the columns.
    """
    if file_format(path) == ".jsonl":
        for number, row in json_lines(path, columns):
            yield row if isinstance(row, BadRecord) else Row(f"{path}, line {number}", row)
        return
    count = 0
    with told_with_file(path, lambda: count):
        for record in _read_parquet(path, columns) if file_format(path) == ".parquet" else _read_text(path, separator):
            count += 1
            yield record
    if count == 0:
        raise UserError(f"{path} is empty: remove it, or fetch or write it again")


def _read_text(path: Path, separator: str) -> Iterator[Record]:
    mark = separator.strip().encode()
    document: list[bytes] = []
    with open_lines(path) as lines:
        # One mark more than the file has ends its last document.
        for number, line in enumerate(itertools.chain(lines, [mark]), 1):
            if line.strip() != mark:
                document.append(line)
            elif document:
                # The ends of lines belong to the file, not to its text: on every system the same documents.
                raw, document = b"".join(document).replace(b"\r\n", b"\n").strip(b"\r\n"), []
                try:
                    text = raw.decode()
                except UnicodeDecodeError as error:
                    what = f"is not UTF-8 ({error.reason} at its byte {error.start})"
                    yield BadRecord("not_utf8", f"{path}: the document that ends before line {number} {what}")
                else:
                    yield text


def _read_parquet(path: Path, columns: Sequence[str]) -> Iterator[Record]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        for column in columns:
            if names.count(column) != 1:
                found = "no column" if column not in names else f"{names.count(column)} columns"
                raise UserError(f"{path} has {found} {column!r}; its columns: {', '.join(names)}")
        number = 0
        for batch in file.iter_batches(batch_size=1024, columns=list(columns)):
            for row in zip(*(batch.column(name) for name in columns), strict=True):
                number += 1
                where = f"{path}, row {number}"
                try:
                    yield Row(where, {name: value.as_py() for name, value in zip(columns, row, strict=True)})
                except UnicodeDecodeError as error:
                    yield BadRecord("not_utf8", f"{where}: not UTF-8 ({error.reason})")
