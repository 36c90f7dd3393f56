"""The parquet files of a corpus, written and read a row group at a time.

    python -c "from mulfact.data_builders.storage.corpus_files import read_documents; \
        print(next(read_documents('outputs/smoke/corpus/train-00000.parquet')).slice(0, 3).to_pylist())"
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mulfact.errors import UserError

ROW_GROUP_BYTES = 4_000_000  # of text: what a reader holds at a time
SCHEMA = pa.schema([("text", pa.string()), ("source", pa.string()), ("facts", pa.int32())])


def write_documents(path: Path, texts: Sequence[str], sources: Sequence[str], facts: Sequence[int]) -> None:
    """Write documents, one row each, under a temporary name and then as `path`.

    Raises UserError when there is no room.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        with pq.ParquetWriter(partial, SCHEMA, compression="zstd") as writer:
            start = size = 0
            for end, text in enumerate(texts, 1):
                size += len(text)
                if size >= ROW_GROUP_BYTES or end == len(texts):
                    columns = [list(column[start:end]) for column in (texts, sources, facts)]
                    writer.write_table(pa.table(columns, schema=SCHEMA))
                    start, size = end, 0
    except OSError as error:
        raise not_written(path, error) from error
    partial.replace(path)


def pieces(table: pa.Table, size: int) -> Iterator[pa.Table]:
    """Yield a table's rows in pieces that each end with the row that brings their text to `size` bytes."""
    ends = np.cumsum(pc.binary_length(table["text"]).to_numpy())
    start = 0
    while start < len(ends):
        end = int(np.searchsorted(ends, size + (ends[start - 1] if start else 0))) + 1
        yield table.slice(start, end - start)
        start = end


def not_written(path: Path, error: OSError) -> UserError:
    """Return the error for a shard that could not be written, most likely to a full disk."""
    return UserError(
        f"{path} cannot be written ({error}); make room and run the same command again: it goes on behind the last "
        "finished shard"
    )


def read_documents(path: str | Path) -> Iterator[pa.Table]:
    """Yield the row groups of a corpus file, columns text, source and facts. Raises UserError when it is corrupt."""
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, columns=SCHEMA.names)
    except (OSError, pa.ArrowException) as error:
        raise UserError(
            f"{path} cannot be read ({error}); delete its folder and run data_builders/corpus.py"
        ) from error
