"""Which files a path, a folder or a glob means, in folders as people have them."""

import os
import unicodedata
from pathlib import Path

import pytest

from mulfact.data_builders.sources.finding import find_files
from mulfact.errors import UserError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, *patterns: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_files([str(folder / name) for name in patterns])]


def test_files_are_found_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b.txt", "a.jsonl.gz", "c.parquet", "README.md", "sub/d.txt.zst")
    assert found(tmp_path, "") == ["a.jsonl.gz", "b.txt", "c.parquet", "sub/d.txt.zst"]
    assert found(tmp_path, "[bc].*", "a.jsonl.gz") == ["b.txt", "c.parquet", "a.jsonl.gz"]
    assert found(tmp_path, "**/*.txt*") == ["b.txt", "sub/d.txt.zst"]
    for pattern, message in (
        ("nothing-*.txt", r"nothing-\*\.txt matches no file"),
        ("README.md", "cannot read this kind of file"),
        ("*.*", "README.md: cannot read this kind of file"),
    ):
        with pytest.raises(UserError, match=message):
            found(tmp_path, pattern)
    with pytest.raises(UserError, match=r"b\.txt is named twice$"):
        found(tmp_path, "b.txt", "*.txt")


def test_a_path_that_exists_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "[a] texts (1).jsonl", "a texts (1).jsonl", "[2024] web/x.txt", "2 web/y.txt", "what?.txt", "*.txt")
    assert found(tmp_path, "[a] texts (1).jsonl") == ["[a] texts (1).jsonl"]
    assert found(tmp_path, "[2024] web/*.txt") == ["[2024] web/x.txt"]
    assert found(tmp_path, "[2024] web") == ["[2024] web/x.txt"]
    assert found(tmp_path, "what?.txt", "*.txt") == ["what?.txt", "*.txt"]


def test_hidden_files_are_read_only_where_they_are_named(tmp_path: Path) -> None:
    hidden = [
        ".ipynb_checkpoints/a-checkpoint.jsonl",
        "._a.jsonl",
        ".DS_Store",
        "sub/.cache/b.txt",
        "__MACOSX/._a.jsonl",
    ]
    touch(tmp_path, "a.jsonl", *hidden)
    assert found(tmp_path, "") == found(tmp_path, "*.jsonl") == found(tmp_path, "**") == ["a.jsonl"]
    assert found(tmp_path, "._a.jsonl", "sub/.cache") == ["._a.jsonl", "sub/.cache/b.txt"]
    with pytest.raises(UserError, match=r"sub matches no file; .* \(hidden ones are not looked for\)"):
        found(tmp_path, "sub")
    inside = tmp_path / ".data"
    touch(inside, "c.txt")
    assert found(inside, "") == ["c.txt"]


def test_capital_suffixes_and_folders_named_like_files(tmp_path: Path) -> None:
    touch(tmp_path, "A.JSONL", "b.Txt.GZ", "out.jsonl/part-0.jsonl", "out.jsonl/_SUCCESS", "notes.md")
    assert found(tmp_path, "") == ["A.JSONL", "b.Txt.GZ", "out.jsonl/part-0.jsonl"]
    assert found(tmp_path, "out.jsonl") == found(tmp_path, "out*") == ["out.jsonl/part-0.jsonl"]


def test_links_are_followed_and_name_nothing_twice(tmp_path: Path) -> None:
    touch(tmp_path, "store/a.txt", "store/deep/b.txt")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "up").symlink_to(tmp_path / "store")
    assert found(tmp_path, "corpus") == ["corpus/linked/a.txt", "corpus/linked/deep/b.txt"]
    with pytest.raises(UserError, match=r"linked/a\.txt is named twice: .*store/a\.txt is the same file"):
        found(tmp_path, "store/a.txt", "corpus/linked/a.txt")
    (tmp_path / "corpus" / "gone.txt").symlink_to(tmp_path / "nowhere.txt")
    for pattern in ("corpus", "corpus/gone.txt", "corpus/*.txt"):
        with pytest.raises(UserError, match=r"gone\.txt is no file but a link to nothing"):
            found(tmp_path, pattern)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"a\.txt is no file"):
        found(tmp_path, "")


@pytest.mark.parametrize(("on_disk", "asked"), [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_names_are_the_same_in_every_normal_form(tmp_path: Path, on_disk: str, asked: str) -> None:
    def normal(form: str, name: str) -> str:
        return unicodedata.normalize(form, name)  # type: ignore[arg-type]

    touch(tmp_path, normal(on_disk, "Bücher/Größe.txt"), normal(on_disk, "Bücher/Zoë.txt"))
    for pattern in ("Bücher/Größe.txt", "Bücher/Grö*.txt", "Bü*/G*.txt"):
        (path,) = find_files([str(tmp_path / normal(asked, pattern))])
        assert normal("NFC", path.name) == "Größe.txt"
    assert [normal("NFC", path.name) for path in find_files([str(tmp_path)])] == ["Größe.txt", "Zoë.txt"]


def test_the_home_folder_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    touch(tmp_path, "texts/a.txt")
    assert find_files(["~/texts"]) == find_files(["~/texts/*.txt"]) == [tmp_path / "texts" / "a.txt"]
