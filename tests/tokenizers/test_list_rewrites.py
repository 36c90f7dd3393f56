"""The list of rewrites that a person reads."""

import gzip
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_tokenizers import build

from mulfact.errors import UserError
from mulfact.tokenizers.list_rewrites import main, read_texts


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    monkeypatch.setattr(sys, "argv", ["list_rewrites", *flags])
    main()
    return capsys.readouterr().out


def test_rewrites_are_listed_with_their_context(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = {"question": "None here: 16*9.", "answer": "Six boxes,\n6 × 9 = <<6*9=54>>54 pens."}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    lines = run(monkeypatch, capsys, str(tmp_path / "a.jsonl")).splitlines()
    assert lines[0] == "a.jsonl\t1\tSix boxes,⏎[6 × 9] = <<6*9=54>>54 pens.\t<MUL_6_9>"
    assert lines[1].endswith("1 in calculator annotations, 1 elsewhere")
    assert len(run(monkeypatch, capsys, str(tmp_path / "a.jsonl"), "--all").splitlines()) == 3
    strict = run(monkeypatch, capsys, str(tmp_path / "a.jsonl"), "--tokenizer", str(build("strict")), "--all")
    assert "[6*9=54]>>54 pens.\t<MUL_6_9_54>" in strict


def test_texts_are_read_from_every_kind_of_file(tmp_path: Path) -> None:
    records = [{"text": "a", "more": ["b", {"c": "d"}], "number": 5}, {"text": "e"}]
    (tmp_path / "a.txt").write_text("a\nb")
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "a.json").write_text(json.dumps(records))
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        file.write((tmp_path / "a.jsonl").read_text())
    pq.write_table(pa.table({"text": ["a", "e"], "source": ["s", "s"]}), tmp_path / "a.parquet")
    assert list(read_texts(tmp_path / "a.txt")) == [(0, "a\nb")]
    for name in ("a.jsonl", "a.json", "a.jsonl.gz"):
        assert list(read_texts(tmp_path / name)) == [(1, "a"), (1, "b"), (1, "d"), (2, "e")]
    assert list(read_texts(tmp_path / "a.parquet")) == [(1, "a"), (1, "s"), (2, "e"), (2, "s")]


def test_numbers_are_those_of_an_editor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf\nOne.\nSo 6*9 is it.\n")
    rows = ['{"q": "one", "a": "two"}', "", '{"q": "three", "a": "6*9"}']
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    out = run(monkeypatch, capsys, str(tmp_path / "a.txt"), str(tmp_path / "a.jsonl"))
    assert [line.split("\t")[:2] for line in out.splitlines() if "\t" in line] == [["a.txt", "3"], ["a.jsonl", "3"]]


@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", b"{"), ("a.txt", b"\xff"), ("a.parquet", b"no"), ("b", None)]
)
def test_a_file_that_cannot_be_read_is_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name):
        list(read_texts(tmp_path / name))
