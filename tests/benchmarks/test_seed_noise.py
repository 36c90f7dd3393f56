"""What benchmarks/seed_noise.py says of seeds, and the mean of checkpoints that it scores."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from mulfact.benchmarks.seed_noise import averaged, describe, rejected


def test_the_spread_of_seeds_and_its_interval() -> None:
    generator = np.random.default_rng(0)
    truth = 0.6 + 0.05 * generator.standard_normal(10)
    matrix = generator.random((10, 2000)) < truth[:, None]
    found = describe(matrix)
    low, high = found["sd_interval"]
    assert low < 0.05 < high
    assert found["sd"] == pytest.approx(np.std(found["by_seed"], ddof=1), abs=1e-4)
    assert found["sd_of_items"] == pytest.approx(np.sqrt(0.24 / 2000), rel=0.05)


def test_equal_seeds_are_never_told_apart_and_two_kinds_are() -> None:
    right = np.tile(np.arange(200) % 2, (6, 1)).astype(float)
    assert rejected(right, 3) == 0
    right[:3, :80] = 1
    assert rejected(right, 3) == pytest.approx(1 / 10)  # the one split of ten that parts the two kinds


def test_every_split_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Estimate:
        p_value = 1.0

    def estimate(first: np.ndarray, second: np.ndarray, level: float) -> Estimate:
        seen.append(frozenset([tuple(first[:, 0]), tuple(second[:, 0])]))
        return Estimate()

    monkeypatch.setattr("mulfact.benchmarks.seed_noise.estimate_difference", estimate)
    rejected(np.arange(10.0)[:, None], 5)
    assert len(seen) == len(set(seen)) == 126


def test_the_mean_of_checkpoints_has_the_mean_of_their_weights(tmp_path: Path) -> None:
    words = Tokenizer(WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>")
    models = [GPT2LMHeadModel(GPT2Config(vocab_size=2, n_positions=4, n_embd=4, n_layer=1, n_head=1)) for _ in range(3)]
    for step, model in enumerate(models):
        model.save_pretrained(tmp_path / f"checkpoint-{step}")
        tokenizer.save_pretrained(tmp_path / f"checkpoint-{step}")
    mean = AutoModelForCausalLM.from_pretrained(averaged(tmp_path)).state_dict()
    for name, value in mean.items():
        torch.testing.assert_close(value, torch.stack([m.state_dict()[name] for m in models]).mean(0))
