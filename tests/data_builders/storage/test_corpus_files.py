"""The files of a corpus come back as they were written, in bounded pieces."""

from pathlib import Path

import pyarrow as pa
import pytest

from mulfact.data_builders.storage.corpus_files import ROW_GROUP_BYTES, pieces, read_documents, write_documents
from mulfact.errors import UserError


def test_round_trip_in_row_groups(tmp_path: Path) -> None:
    texts = [f"{number} " + "多字节 " * 100_000 for number in range(30)]
    write_documents(tmp_path / "train-00000.parquet", texts, ["web"] * 30, list(range(30)))
    tables = list(read_documents(tmp_path / "train-00000.parquet"))
    assert len(tables) == 3
    assert all(sum(map(len, table["text"].to_pylist())) < 1.2 * ROW_GROUP_BYTES for table in tables)
    rows = [row for table in tables for row in table.to_pylist()]
    assert rows == [{"text": text, "source": "web", "facts": n} for n, text in enumerate(texts)]
    assert [path.name for path in tmp_path.iterdir()] == ["train-00000.parquet"]


@pytest.mark.parametrize("size", [1, 5, 6, 7, 11, 1000])
def test_pieces_hold_all_rows_in_order(size: int) -> None:
    texts = ["", "abc", "多", "", "a", "word " * 5, "z", ""]
    table = pa.table({"text": texts, "facts": range(8)}).slice(0, 8)
    parts = list(pieces(table, size))
    assert [row for part in parts for row in part.to_pylist()] == table.to_pylist()
    for part in parts:
        lengths = [len(text.encode()) for text in part["text"].to_pylist()]
        assert sum(lengths[:-1]) < size
        assert sum(lengths) >= size or part is parts[-1]


def test_a_corrupt_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-00000.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match=r"train-00000\.parquet cannot be read"):
        list(read_documents(tmp_path / "train-00000.parquet"))
