"""JSON lines on disk, and what the Hub gives or does not give."""

import datasets
import httpx
import pytest

from mulfact.data_builders.storage.rows import read_hub, read_jsonl, stream_hub, write_jsonl
from mulfact.errors import UserError


def test_what_is_written_is_read(tmp_path):
    rows = [{"text": "六九五十四\n6 × 9"}, {"text": "\u2028 is no end of line"}]
    write_jsonl(tmp_path / "new" / "rows.jsonl", rows)
    assert list(read_jsonl(tmp_path / "new" / "rows.jsonl")) == [(1, rows[0]), (2, rows[1])]


def test_splits_come_one_behind_the_other(monkeypatch):
    splits = {"train": [{"n": 2}], "test": [{"n": 1}]}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split: splits[split] if split else splits)
    assert read_hub("org/set") == [{"n": 1}, {"n": 2}]
    assert read_hub("org/set", split="train") == [{"n": 2}]


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), OSError("reset"), ValueError("no such split")])
def test_a_stream_that_breaks_is_an_error(monkeypatch, error):
    def load_dataset(*args, **kwargs):
        yield {"n": 1}
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=rf"org/set is neither .*{error}"):
        list(stream_hub("org/set", "train"))
