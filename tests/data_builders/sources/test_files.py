"""Every format, plain and compressed, reads the same; what cannot be read is named and never passed over."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from mulfact.data_builders.sources.files import Record, Row, read_file
from mulfact.errors import UserError
from mulfact.text_files import BadRecord

DOCUMENTS = ["First line.\nSecond line: 6×9=54", "七八五十六", 'quotes " and \\ slashes', "x" * 100_000]

PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}


def content(form: str) -> bytes:
    if form == ".jsonl":
        return "".join(json.dumps({"text": text, "n": 1}) + "\n" for text in DOCUMENTS).encode()
    return "\n\n \n".join(DOCUMENTS).encode()


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def texts(path: Path, **keywords: str) -> list[str | None]:
    return [text_of(record) for record in read_file(path, ["text"], **keywords)]


def text_of(record: Record) -> str | None:
    return record.columns["text"] if isinstance(record, Row) else record if isinstance(record, str) else None


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("form", [".txt", ".jsonl"])
def test_every_format_reads_the_same(tmp_path: Path, form: str, packing: str) -> None:
    path = write(tmp_path / f"a{form}{packing}", PACK[packing](content(form)))
    assert texts(path) == DOCUMENTS


def test_parquet_reads_the_same(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1] * 4, "text": DOCUMENTS}), tmp_path / "a.parquet", row_group_size=2)
    assert texts(tmp_path / "a.parquet") == DOCUMENTS


def test_a_separator_of_ones_own(tmp_path: Path) -> None:
    path = write(tmp_path / "stories.txt", b"One.\n\nStill one.\n<|endoftext|>\nTwo.\n<|endoftext|>\n")
    assert texts(path, separator="<|endoftext|>") == ["One.\n\nStill one.", "Two."]


@pytest.mark.parametrize("packing", [".gz", ".zst"])
@pytest.mark.parametrize("form", [".txt", ".jsonl"])
def test_a_file_cut_short_is_an_error(tmp_path: Path, form: str, packing: str) -> None:
    packed = PACK[packing](content(form) * 50)
    path = write(tmp_path / f"a{form}{packing}", packed[: len(packed) - 9])
    with pytest.raises(
        UserError, match=rf"{path} cannot be read beyond record \d+ \(.*(Truncated|before the end-of-stream).*\)"
    ):
        list(read_file(path, ["text"]))
    with pytest.raises(UserError, match="cannot be read"):
        list(read_file(write(path, b"this is not compressed"), ["text"]))


def test_a_parquet_file_cut_short_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": DOCUMENTS}), tmp_path / "a.parquet")
    raw = (tmp_path / "a.parquet").read_bytes()
    with pytest.raises(UserError, match=r"a\.parquet cannot be read beyond record 0"):
        list(read_file(write(tmp_path / "a.parquet", raw[: len(raw) // 2]), ["text"]))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.txt.gz", "a.jsonl.zst"])
def test_an_empty_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="is empty"):
        list(read_file(write(tmp_path / name, b""), ["text"]))


def test_bad_json_lines_are_named_by_line(tmp_path: Path) -> None:
    lines = [b'{"text": "good"}', b"\xff\xfe", b"{broken", b"[1, 2]", b"", b'{"text": "also good"}']
    records = list(read_file(write(tmp_path / "a.jsonl", b"\n".join(lines)), ["text"]))
    bad = [record for record in records if isinstance(record, BadRecord)]
    assert [record.reason for record in bad] == ["not_utf8", "not_json", "not_json"]
    assert [f"line {n}" in record.message for n, record in zip((2, 3, 4), bad, strict=True)] == [True] * 3
    assert [text_of(record) for record in records if not isinstance(record, BadRecord)] == ["good", "also good"]


def test_text_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    raw = "Erste\n\nZweite: Größe\n\nDritte".encode("latin-1")
    records = list(read_file(write(tmp_path / "a.txt", raw), ["text"]))
    assert [record if isinstance(record, str) else record.reason for record in records] == [
        "Erste",
        "not_utf8",
        "Dritte",
    ]
    # Arrow does not check the bytes that a parquet file calls a string.
    column = pa.array([b"good", b"\xff"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    good, bad = read_file(tmp_path / "a.parquet", ["text"])
    assert text_of(good) == "good"
    assert isinstance(bad, BadRecord)
    assert "row 2" in bad.message


def test_a_missing_parquet_column_names_what_is_there(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["a"], "id": [1]}), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet has no column 'text'; its columns: content, id"):
        list(read_file(tmp_path / "a.parquet", ["text"]))


def test_parquet_as_other_tools_write_it(tmp_path: Path) -> None:
    column = pa.array(["a", None, "a", "b"])
    for kind in (column.cast(pa.large_string()), column.dictionary_encode(), column.cast(pa.string_view())):
        pq.write_table(pa.table({"text": kind}), tmp_path / "a.parquet")
        assert texts(tmp_path / "a.parquet") == ["a", None, "a", "b"]
    pq.write_table(pa.table([column, column], names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"a\.parquet has 2 columns 'text'"):
        list(read_file(tmp_path / "a.parquet", ["text"]))


@pytest.mark.parametrize("packing", PACK)
def test_line_ends_and_marks_of_other_systems_change_no_document(tmp_path: Path, packing: str) -> None:
    raw = "\ufeffOne.\r\nStill one.\r\n\r\n\r\nTwo.\r\n".encode()
    assert texts(write(tmp_path / f"a.txt{packing}", PACK[packing](raw))) == ["One.\nStill one.", "Two."]
    raw = '\ufeff{"text": "One.\\r\\n"}\r\n\r\n{"text": "Two."}\r\n'.encode()
    assert texts(write(tmp_path / f"a.jsonl{packing}", PACK[packing](raw))) == ["One.\r\n", "Two."]
    with pytest.raises(UserError, match="is empty"):
        texts(write(tmp_path / f"b.txt{packing}", PACK[packing]("\ufeff\r\n \r\n".encode())))


def test_a_separator_stands_alone_whatever_surrounds_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", b"One.\r\n ---\r\nTwo.\n---\n")
    assert texts(path, separator="--- ") == ["One.", "Two."]


def test_real_files(data_dir: Path, real_data: bool) -> None:
    counts = {
        name: sum(1 for _ in read_file(data_dir / "corpus" / name, ["text"]))
        for name in ("openstax_math.jsonl.gz", "wikitext2_valid.txt")
    }
    assert counts["openstax_math.jsonl.gz"] == (359 if real_data else 40)
    assert counts["wikitext2_valid.txt"] > (1000 if real_data else 0)
