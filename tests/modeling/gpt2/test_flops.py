"""The analytic FLOPs against what torch counts on a tiny model, and against published sizes."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.gpt2.flops import ModelShape, backward_flops, forward_flops, generation_flops

SHAPE = ModelShape(n_layer=3, n_embd=64, n_inner=256, vocab_size=320, n_positions=128)


@pytest.fixture(scope="module")
def model() -> GPT2LMHeadModel:
    config = GPT2Config(
        n_layer=3, n_head=4, n_embd=64, vocab_size=320, n_positions=128,
        attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, attn_implementation="eager",
    )  # fmt: skip
    return GPT2LMHeadModel(config)


@pytest.mark.parametrize(("sequences", "length"), [(1, 16), (4, 128)])
def test_forward_and_backward_agree_with_torch(model: GPT2LMHeadModel, sequences: int, length: int) -> None:
    ids = torch.randint(0, 320, (sequences, length))
    with FlopCounterMode(display=False) as forward_counter:
        loss = model(ids, labels=ids, use_cache=False).loss
    with FlopCounterMode(display=False) as backward_counter:
        loss.backward()
    forward = forward_flops(SHAPE, sequences, length)
    assert forward == pytest.approx(forward_counter.get_total_flops(), rel=0.02)
    assert backward_flops(forward) == pytest.approx(backward_counter.get_total_flops(), rel=0.02)


def test_scored_positions_alone_go_through_the_head(model: GPT2LMHeadModel) -> None:
    ids = torch.randint(0, 320, (2, 64))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(ids, use_cache=False, logits_to_keep=10)
    assert forward_flops(SHAPE, 2, 64, scored=10) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_generation_agrees_with_torch(model: GPT2LMHeadModel) -> None:
    ids = torch.randint(0, 320, (2, 20))
    with FlopCounterMode(display=False) as counter:
        model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=30, min_new_tokens=30, do_sample=False,
            pad_token_id=0,
        )  # fmt: skip
    assert generation_flops(SHAPE, 2, 20, 30) == pytest.approx(counter.get_total_flops(), rel=0.02)


def test_frozen_weights_halve_the_backward_pass() -> None:
    assert backward_flops(100, frozen=True) == 100
    assert backward_flops(100) == 200


def test_parameters_are_those_of_the_model(model: GPT2LMHeadModel) -> None:
    assert SHAPE.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_gpt2_124m_has_its_published_size_and_flops() -> None:
    shape = ModelShape(n_layer=12, n_embd=768, n_inner=3072, vocab_size=50257)
    assert shape.parameters == 124_439_808
    # nanoGPT estimate_mfu: 6N + 12 L H Q T per token, N without position embeddings
    per_token = 6 * (shape.parameters - 1024 * 768) + 12 * 12 * 768 * 1024
    forward = forward_flops(shape, 1, 1024)
    assert (forward + backward_flops(forward)) / 1024 == pytest.approx(per_token, rel=0.01)


def test_shape_is_read_from_the_model_folder(tmp_path) -> None:
    GPT2Config(n_layer=3, n_embd=64, n_head=4, vocab_size=320, n_positions=128).save_pretrained(tmp_path)
    assert ModelShape.load(tmp_path) == SHAPE
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match=r"config\.json"):
        ModelShape.load(tmp_path)
