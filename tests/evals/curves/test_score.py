"""Bits of answers: by batches what one row at a time gives, whatever the padding, and what generating would give."""

import math

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.evals.curves.records import survival, tokens_until_known
from mulfact.evals.curves.score import score


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=11, n_positions=12, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5)
    return GPT2LMHeadModel(config).eval()


def test_batches_give_what_single_rows_give(model: GPT2LMHeadModel) -> None:
    random = np.random.default_rng(0)
    encoded = [
        (random.integers(1, 11, length).tolist(), answer) for length, answer in ((4, 1), (9, 3), (12, 2), (5, 4))
    ]
    bits, correct = score(model, encoded, batch_size=3)
    for (ids, length), own_bits, own_correct in zip(encoded, bits, correct, strict=True):
        with torch.no_grad():
            losses = model(torch.tensor([ids])).logits[0].log_softmax(-1)
            answer = range(len(ids) - length, len(ids))
            expected = -sum(float(losses[place - 1, ids[place]]) for place in answer) / math.log(2)
            likely = [int(losses[place - 1].argmax()) for place in answer]
        assert own_bits == pytest.approx(expected, rel=1e-5)
        assert own_correct == (likely == ids[-length:])


def test_correct_is_what_greedy_decoding_gives(model: GPT2LMHeadModel) -> None:
    prompt = torch.tensor([[1, 2, 3]])
    generated = model.generate(prompt, max_new_tokens=4, do_sample=False, pad_token_id=0)[0].tolist()
    wrong = [*generated[:-1], (generated[-1] + 1) % 11]
    assert score(model, [(generated, 4), (wrong, 4)], 8)[1].tolist() == [True, False]


def test_a_probe_over_the_window_is_refused(model: GPT2LMHeadModel) -> None:
    with pytest.raises(UserError, match="13 tokens, the model's window 12"):
        score(model, [([1] * 13, 1)], 8)


def test_known_is_known_for_good() -> None:
    bits = np.array([[3, 0.5, 2, 0.9, 0.1], [0.1, 0.1, 0.1, 0.1, 0.1], [3, 2, 2, 2, 1.0], [0.1, 0.1, 0.1, 0.1, 4]])
    tokens = np.array([10, 20, 40, 80, 160])
    until = tokens_until_known(bits, tokens)
    np.testing.assert_array_equal(until, [80, 10, np.nan, np.nan])
    np.testing.assert_array_equal(survival(until, tokens), [0.75, 0.75, 0.75, 0.5, 0.5])
