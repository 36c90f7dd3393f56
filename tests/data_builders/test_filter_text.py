"""The datatrove pipeline: what it writes is what a corpus' `files` takes, and a second run does what is missing."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mulfact.data_builders.filter_text import form_of
from mulfact.data_builders.sources.files import Row, read_file
from mulfact.errors import UserError

GOOD = [f"Text number {n}: each of the six boxes has 6 × 9 = 54 pens, and all of them are blue." for n in range(6)]
BAD = ["too short", "|---|" * 40]


def run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "data_builders/filter_text.py", "--min_characters", "50", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


def kept(folder: Path) -> list[str]:
    """Return the documents as the corpus builder reads them."""
    records = [record for path in sorted(folder.glob("*.jsonl.gz")) for record in read_file(path, ["text"])]
    return [record.columns["text"] for record in records if isinstance(record, Row)]


def test_what_is_written_is_what_a_corpus_reads(tmp_path: Path, repository: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name, texts in (("a.jsonl", [*GOOD[:3], BAD[0]]), ("b.jsonl.gz", [BAD[1], *GOOD[3:]])):
        raw = "".join(json.dumps({"body": text, "n": 1}) + "\n" for text in texts).encode()
        (source / name).write_bytes(gzip.compress(raw, mtime=0) if name.endswith("gz") else raw)
    arguments = ("--input", str(source), "--output", str(target), "--text_column", "body", "--tasks", "2")
    first = run(repository, *arguments)
    assert first.returncode == 0, first.stderr
    assert [path.name for path in sorted(target.glob("*.gz"))] == ["00000.jsonl.gz", "00001.jsonl.gz"]
    assert kept(target) == GOOD
    times = [path.stat().st_mtime_ns for path in sorted(target.glob("*.gz"))]
    assert run(repository, *arguments).returncode == 0
    assert [path.stat().st_mtime_ns for path in sorted(target.glob("*.gz"))] == times, "finished tasks are skipped"


def test_parquet_is_read_too(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"text": [*BAD, *GOOD]}), tmp_path / "in" / "a.parquet")
    result = run(repository, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert result.returncode == 0, result.stderr
    assert kept(tmp_path / "out") == GOOD


def test_a_folder_without_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds neither \.jsonl nor \.parquet files"):
        form_of(str(tmp_path))
    (tmp_path / "a.jsonl").touch()
    (tmp_path / "a.parquet").touch()
    with pytest.raises(UserError, match=r"holds both \.jsonl and \.parquet files"):
        form_of(str(tmp_path))
