"""Finished shards survive an interruption, but not another recipe."""

import shutil
from functools import partial
from pathlib import Path

import pytest

from mulfact.data_builders.storage import work_folder
from mulfact.data_builders.storage.work_folder import WorkFolder


def test_keeps_its_files_for_the_same_key_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = WorkFolder(tmp_path / "corpus", {"seed": 0})
    assert work.path == tmp_path / "corpus.shards"
    (work.path / "train-00000.parquet").write_text("finished")
    assert (WorkFolder(tmp_path / "corpus", {"seed": 0}).path / "train-00000.parquet").read_text() == "finished"
    assert not (WorkFolder(tmp_path / "corpus", {"seed": 1}).path / "train-00000.parquet").exists()
    (work.path / "train-00000.parquet").write_text("finished")
    monkeypatch.setattr(work_folder, "code_hash", lambda: "of other code")
    assert not (WorkFolder(tmp_path / "corpus", {"seed": 1}).path / "train-00000.parquet").exists()


@pytest.mark.parametrize(
    "module", ["data_builders/corpus.py", "data_builders/synthetic/stories/money.py", "tokenizers/patterns/marks.py"]
)
def test_half_a_build_is_thrown_away_when_a_file_of_a_stage_or_of_its_rooms_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    package = tmp_path / "mulfact"
    for stage in ("data_builders", "tokenizers"):
        shutil.copytree(work_folder.PACKAGE / stage, package / stage, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(work_folder, "code_hash", partial(work_folder.code_hash, package))
    half = WorkFolder(tmp_path / "corpus", 0).path / "train-00000.parquet"
    half.write_text("finished")
    WorkFolder(tmp_path / "corpus", 0)
    assert half.exists()
    with (package / module).open("a") as file:
        file.write("\n# changed")
    WorkFolder(tmp_path / "corpus", 0)
    assert not half.exists()


def test_takes_up_a_finished_output(tmp_path: Path) -> None:
    finished = tmp_path / "tokens"
    finished.mkdir()
    (finished / "a.bin").write_bytes(b"whole")
    work = WorkFolder(finished, 0)
    (work.path / "a.bin").write_bytes(b"half")
    work.take_up(finished, ["a.bin"])
    assert (work.path / "a.bin").read_bytes() == b"whole"
    assert WorkFolder(finished, 0).build == work.build != WorkFolder(finished, 1).build


@pytest.mark.parametrize("hard_links", [True, False])
def test_links_or_copies_into_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool) -> None:
    work = WorkFolder(tmp_path / "corpus", 0)
    (work.path / "a.bin").write_bytes(b"abc")
    folder = tmp_path / "out"
    folder.mkdir()
    if not hard_links:

        def refuse(*_: object) -> None:
            raise PermissionError("no hard links here")

        monkeypatch.setattr(work_folder.os, "link", refuse)
    work.link_into(folder, ["a.bin"])
    assert (folder / "a.bin").stat().st_nlink == (2 if hard_links else 1)
    work.remove()
    assert (folder / "a.bin").read_bytes() == b"abc"
    assert not work.path.exists()
