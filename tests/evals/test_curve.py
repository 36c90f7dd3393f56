"""The command that asks the points of a run: what it writes, with tokens of facts, of words, and without points."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tiny_tokenizers
import torch
import yaml
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.evals import curve
from mulfact.evals.curves.records import read_curve


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that asks two points of a run of an arm, and returns the folder of the run."""

    def ask(arm: str, points: tuple[int, ...] = (1, 4), **settings: Any) -> Path:
        folder = tmp_path / arm / "seed-0"
        for step in points:
            torch.manual_seed(step)
            config = GPT2Config(vocab_size=768, n_positions=64, n_embd=8, n_layer=1, n_head=1)
            GPT2LMHeadModel(config).save_pretrained(folder / "pretrain_curve" / f"step-{step:06d}")
            point = {"step": step, "tokens": 10 * step, "bytes": 30 * step}
            (folder / "pretrain_curve" / f"step-{step:06d}" / "point.json").write_text(json.dumps(point))
        (tmp_path / "corpus").mkdir()
        texts = {"text": ["In the middle of the old town -> here", "Each box of the two"]}
        pq.write_table(pa.table(texts), tmp_path / "corpus" / "validation-00000.parquet")
        (tmp_path / "tokens").mkdir()
        (tmp_path / "tokens" / "manifest.json").write_text(json.dumps({"fact_counts": {"<MUL_6_9>": 7}}))
        recipe = {
            "output_dir": str(folder / "curve"), "points": str(folder / "pretrain_curve"),
            "tokenizer": str(tiny_tokenizers.build(arm)), "tokens": str(tmp_path / "tokens"),
            "corpus": str(tmp_path / "corpus"), "custom_tokens": [], "contexts": 5, "batch_size": 64, "use_cpu": True,
        }  # fmt: skip
        (tmp_path / "curve.yaml").write_text(yaml.safe_dump(recipe | settings))
        monkeypatch.setattr(sys, "argv", ["curve.py", "--config", str(tmp_path / "curve.yaml")])
        curve.main()
        return folder

    return ask


def test_every_fact_is_asked_at_every_point(run: Any) -> None:
    found = read_curve(run("weak"))
    assert found.points == [{"step": 1, "tokens": 10, "bytes": 30}, {"step": 4, "tokens": 40, "bytes": 120}]
    assert found.forms == [("products", "plain"), ("products", "question"), ("sums", "plain"), ("sums", "question")]
    assert found.values("bits", "sums", "plain").shape == (81, 2)
    assert (found.scores["bits"] > 0).all()
    facts = {fact["unit"]: fact for fact in found.facts}
    assert facts["6*9"] == {
        "task": "products", "unit": "6*9", "operands": [6, 9], "token": "<MUL_6_9>", "count": 7,
    }  # fmt: skip
    assert facts["6+9"]["token"] is None


def test_words_of_both_halves_are_asked(run: Any) -> None:
    found = read_curve(run("half_custom", custom_tokens=tiny_tokenizers.CUSTOM))
    facts = {fact["unit"]: fact for fact in found.facts if fact["task"] == "words"}
    assert set(facts) == {"of the", "->"}  # the others stand nowhere in the text
    assert 0 < sum(fact["token"] is not None for fact in found.facts if fact["task"] == "words") <= 2


def test_a_run_without_points_has_an_empty_curve(run: Any) -> None:
    folder = run("baseline", points=())
    assert read_curve(folder).points == []
    assert pd.read_parquet(folder / "curve" / "scores.parquet").empty
