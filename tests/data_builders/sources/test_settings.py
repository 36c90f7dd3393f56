"""A source read in one go and a source taken up at any block are the same source."""

import dataclasses
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recipe_defaults import defaults

from mulfact.data_builders.sources.blocks import Block, open_source
from mulfact.data_builders.sources.readers import pin_revision
from mulfact.data_builders.sources.settings import SourceSettings, from_mapping
from mulfact.data_builders.synthetic.documents import SyntheticSettings
from mulfact.errors import UserError

SYNTHETIC = SyntheticSettings(**defaults("corpus.synthetic"))


def read_all(settings: SourceSettings, position: dict | None = None) -> list[Block]:
    return list(open_source(settings, SYNTHETIC, 0, 2000, position))


def texts(blocks: list[Block]) -> list[str]:
    return [text for block in blocks for text in block.texts()]


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """A folder in the form of a Hub data set: three parquet files, a third of the rows French."""
    for shard in range(3):
        rows = [f"Shard {shard}, document {number}. {'word ' * 20}" for number in range(90)]
        languages = ["fr" if number % 3 == 0 else "en" for number in range(90)]
        table = pa.table({"text": rows, "language": languages, "url": rows})
        pq.write_table(table, tmp_path / f"train-{shard:05d}-of-00003.parquet", row_group_size=40)
    return tmp_path


def test_files_and_hub_streams_go_on_at_every_block(data_set: Path) -> None:
    for settings in (
        SourceSettings("local", 1.0, files=[str(data_set)], language="en"),
        SourceSettings("hub", 1.0, dataset=str(data_set), language="en"),
    ):
        blocks = read_all(settings)
        assert len(blocks) > 5
        assert len(texts(blocks)) == 180
        assert sum((block.skipped for block in blocks), Counter()) == {"other_language": 90}
        for done in range(len(blocks)):
            position = json.loads(json.dumps(blocks[done].position))
            assert texts(read_all(settings, position)) == texts(blocks[done + 1 :])


def test_a_source_is_read_as_often_as_it_says(data_set: Path) -> None:
    for place in ({"files": [str(data_set)]}, {"dataset": str(data_set)}):
        once = texts(read_all(SourceSettings("a", 1.0, **place)))
        blocks = read_all(SourceSettings("a", 1.0, **place, repeat=3))
        assert texts(blocks) == once * 3
        for done in range(0, len(blocks), 3):
            rest = read_all(SourceSettings("a", 1.0, **place, repeat=3), json.loads(json.dumps(blocks[done].position)))
            assert texts(rest) == texts(blocks[done + 1 :])


def test_synthetic_blocks_are_endless_and_differ() -> None:
    stream = open_source(SourceSettings("synthetic", 1.0), SYNTHETIC, 7, 3000, None)
    first, second = next(stream), next(stream)
    assert sum(map(len, first.texts())) >= 3000
    assert first.texts() == first.texts()
    assert not set(first.texts()) & set(second.texts())
    again = next(open_source(SourceSettings("synthetic", 1.0), SYNTHETIC, 7, 3000, first.position))
    assert again == second


def test_filters_count_what_they_leave_out(tmp_path: Path) -> None:
    rows = ["short", "long enough to stay", "x" * 60, "it says <|endoftext|> inside", "and <MUL_6_9> is a name"]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    settings = SourceSettings("a", 1.0, files=[str(tmp_path / "a.jsonl")], min_characters=10, max_characters=50)
    (block,) = read_all(settings)
    assert block.texts() == ["long enough to stay"]
    assert block.skipped == {"too_short": 1, "too_long": 1, "reserved_text": 2}


def test_the_text_may_stand_in_another_column(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "of a line", "text": 5}\n')
    pq.write_table(pa.table({"body": ["of a row"]}), tmp_path / "b.parquet")
    settings = SourceSettings("a", 1.0, files=[str(tmp_path / name) for name in ("a.jsonl", "b.parquet")])
    assert texts(read_all(dataclasses.replace(settings, text_column="body"))) == ["of a line", "of a row"]
    (tmp_path / "web").mkdir()
    pq.write_table(pa.table({"body": ["of the Hub"]}), tmp_path / "web" / "train.parquet")
    hub = SourceSettings("web", 1.0, dataset=str(tmp_path / "web"), text_column="body")
    assert texts(read_all(hub)) == ["of the Hub"]


def test_bad_records_are_refused_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [b'{"text": "good"}', b'{"body": "no text"}', b'{"text": 5}', b"\xff", b'{"text": null}']
    lines += [b'{"text": "\\ud83d"}', b'{"text": "good too", "body": "\\ud83d"}']
    for index, message in {
        1: "no column 'text'; its columns: body; correct it, or set bad_records: skip for source a",
        2: "no text in the column 'text', but int: '5'",
        3: "not UTF-8",
        4: "no text in the column 'text', but null",
        5: "'text' holds .*d83d', half a surrogate pair",
    }.items():
        path.write_bytes(lines[0] + b"\n\n" + lines[index])
        with pytest.raises(UserError, match=rf"a\.jsonl, line 3: {message}"):
            read_all(SourceSettings("a", 1.0, files=[str(path)]))
    path.write_bytes(b"\n".join(lines))
    (block,) = read_all(SourceSettings("a", 1.0, files=[str(path)], bad_records="skip"))
    assert block.texts() == ["good", "good too"]
    assert block.skipped == {"no_text": 3, "not_utf8": 2}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text_column": "txt"}, "has no column 'txt'; its columns: text, language, url"),
        ({"split": "test"}, "cannot open the data set .*Bad split"),
        ({"subset": "sample-10BT"}, "cannot open the data set .*sample-10BT"),
        ({"dataset": "mulfact/no-such-set"}, "cannot open the data set 'mulfact/no-such-set'"),
    ],
)
def test_a_data_set_that_cannot_be_opened(data_set: Path, change: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_all(SourceSettings("web", 1.0, **{"dataset": str(data_set), **change}))


def test_a_stream_that_fails_on_the_way(data_set: Path) -> None:
    path = data_set / "train-00002-of-00003.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match=r"source web: reading .* failed .* run the same command again"):
        read_all(SourceSettings("web", 1.0, dataset=str(data_set)))


def test_the_revision_of_a_hub_set_is_pinned(monkeypatch: pytest.MonkeyPatch, data_set: Path) -> None:
    import huggingface_hub

    class Hub:
        def dataset_info(self, name: str, revision: str | None) -> SimpleNamespace:
            if name != "someone/web":
                raise OSError("404 Client Error\nlong story")
            return SimpleNamespace(sha=f"commit of {revision}")

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    assert pin_revision(SourceSettings("web", 1.0, dataset="someone/web", revision="v1")).revision == "commit of v1"
    with pytest.raises(UserError, match=r"'someone/else' \(OSError: 404 Client Error\); check its name"):
        pin_revision(SourceSettings("web", 1.0, dataset="someone/else"))
    for settings in (SourceSettings("synthetic", 1.0), SourceSettings("web", 1.0, dataset=str(data_set))):
        assert pin_revision(settings) is settings


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "a", "weight": 0, "files": ["x"]}, "a: weight is 0; expected a number above 0"),
        ({"name": "a", "weight": "1", "files": ["x"]}, "a: weight is '1'"),
        ({"name": "a", "weight": 1.0}, "a: give files or dataset"),
        ({"name": "a", "weight": 1.0, "files": ["x"], "repeat": 0}, "a: repeat is 0; expected a whole number from 1"),
        ({"name": "a", "weight": 1.0, "files": ["x"], "dataset": "y"}, "both files and dataset"),
        ({"name": "a", "weight": 1.0, "files": "x.txt"}, "files is 'x.txt'; expected a list"),
        ({"name": "a", "weight": 1.0, "files": ["x", None]}, r"files is \['x', None\]; expected a list of paths"),
        ({"name": "a", "weight": 1.0, "files": [""]}, r"files is \[''\]; expected a list of paths"),
        ({"name": "a", "weight": 1.0, "files": ["x"], "bad_records": "ignore"}, "expected refuse or skip"),
        ({"name": "a", "wieght": 1.0, "files": ["x"]}, "unknown key 'wieght'; did you mean 'weight'"),
        ({"name": "a", "files": ["x"]}, "'weight' is missing"),
    ],
)
def test_wrong_settings_are_named(entry: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_mapping(SourceSettings, entry, "corpus.sources")
