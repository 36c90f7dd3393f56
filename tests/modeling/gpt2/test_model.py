"""The model is transformers' own GPT-2: what is trained on it computes the same, and what is saved is ordinary."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2LMHeadModel

from mulfact.modeling.gpt2.attention import CAUSAL_WITHOUT_MASK, attention_by_products, causal_attention
from mulfact.modeling.gpt2.model import COMPILE_OPTIONS, Objective, build_model, gpt2_config
from mulfact.modeling.pretrain_arguments import CHOICES

SHAPE = SimpleNamespace(n_layer=2, n_head=2, n_embd=32, n_positions=64)
TOKENIZER = SimpleNamespace(bos_token_id=0, eos_token_id=0, pad_token_id=1)


def model(seed: int = 0) -> GPT2LMHeadModel:
    return build_model(gpt2_config(SHAPE, 320, TOKENIZER), seed)


def ids() -> torch.Tensor:
    return torch.randint(2, 320, (3, 33), generator=torch.Generator().manual_seed(0))


def test_the_seed_decides_the_initial_weights_and_nothing_else_does() -> None:
    torch.manual_seed(123)
    first = model().state_dict()
    torch.rand(7)
    second, other = model().state_dict(), model(seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["transformer.wte.weight"], other["transformer.wte.weight"])


def test_initialisation_is_that_of_gpt2() -> None:
    built = build_model(
        gpt2_config(SimpleNamespace(n_layer=8, n_head=2, n_embd=128, n_positions=64), 640, TOKENIZER), 0
    )
    for name, parameter in built.named_parameters():
        if name.endswith("c_proj.weight"):  # residual projections: two in a block
            assert parameter.std().item() == pytest.approx(0.02 / math.sqrt(2 * 8), rel=0.05), name
        elif parameter.ndim == 2:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name
        elif "bias" in name:
            assert not parameter.any(), name
        else:
            assert (parameter == 1).all(), name
    assert built.lm_head.weight is built.transformer.wte.weight


@pytest.mark.parametrize("loss", ["plain", "chunked"])
def test_the_objective_is_the_loss_of_transformers(loss: str) -> None:
    reference, trained = model(), model()
    objective = Objective(trained, loss, "no")
    expected = reference(input_ids=ids(), labels=ids()).loss
    found = objective(ids()[:, :-1], ids()[:, 1:])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)

    expected.backward()
    found.backward()
    for (name, ours), theirs in zip(trained.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_token_losses_are_the_objective_before_the_mean() -> None:
    objective = Objective(model(), "chunked", "no")
    inputs, labels = ids()[:, :-1], ids()[:, 1:].clone()
    labels[0] = -100
    losses = objective.token_losses(inputs, labels)
    assert not losses[0].any()
    torch.testing.assert_close(losses.sum() / (labels != -100).sum(), objective(inputs, labels))


@pytest.mark.parametrize("bf16_residual", [False, True])
def test_bf16_is_near_float32_and_leaves_the_weights_in_float32(bf16_residual: bool) -> None:
    objective = Objective(model(), "chunked", "bf16", bf16_residual)
    streams = []
    objective.model.transformer.h[1].register_forward_pre_hook(lambda _, arguments: streams.append(arguments[0].dtype))
    reference = Objective(model(), "plain", "no")
    loss = objective(ids()[:, :-1], ids()[:, 1:])
    loss.backward()
    assert streams == [torch.bfloat16 if bf16_residual else torch.float32]
    torch.testing.assert_close(loss, reference(ids()[:, :-1], ids()[:, 1:]), rtol=5e-3, atol=0)
    assert {parameter.dtype for parameter in objective.parameters()} == {torch.float32}
    assert {parameter.grad.dtype for parameter in objective.parameters()} == {torch.float32}


def test_the_compiled_objective_is_the_eager_one() -> None:
    eager, compiled = (Objective(model(), "plain", "no") for _ in range(2))
    compiled.compile(backend="aot_eager")  # the whole graph, without the minutes that inductor's C++ costs here
    expected, found = eager(ids()[:, :-1], ids()[:, 1:]), compiled(ids()[:, :-1], ids()[:, 1:])
    expected.backward()
    found.backward()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    for ours, theirs in zip(compiled.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-4)


def test_inductor_knows_what_each_compile_mode_tells_it() -> None:
    assert tuple(COMPILE_OPTIONS) == CHOICES["compile_mode"]
    for options in COMPILE_OPTIONS.values():
        torch.compile(model(), options=options)  # an unknown option is an error; nothing is compiled yet
    with pytest.raises(RuntimeError, match="Unexpected optimization option"):
        torch.compile(model(), options={"max_autotune_gems": True})


def test_what_is_saved_is_ordinary_and_computes_the_same(tmp_path: Path) -> None:
    objective = Objective(model(), "chunked", "no")
    objective.model.save_pretrained(tmp_path)
    assert CAUSAL_WITHOUT_MASK not in (tmp_path / "config.json").read_text()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["activation_function"] == "gelu_new"
    assert config["architectures"] == ["GPT2LMHeadModel"]

    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is GPT2LMHeadModel
    assert loaded.config._attn_implementation != CAUSAL_WITHOUT_MASK
    with torch.no_grad():
        ours = objective.model.lm_head(objective.hidden_states(ids())).view(3, 33, 320)
        torch.testing.assert_close(loaded(ids()).logits, ours, rtol=0, atol=1e-5)


def test_train_mode_is_eval_mode_because_there_is_no_dropout() -> None:
    built = model()
    with torch.no_grad():
        assert torch.equal(built.train()(ids()).logits, built.eval()(ids()).logits)


def test_attention_sees_no_later_token() -> None:
    objective = Objective(model(), "plain", "no")
    changed = ids()
    changed[:, 20:] = 5
    with torch.no_grad():
        before = objective.hidden_states(ids()).view(3, 33, -1)
        after = objective.hidden_states(changed).view(3, 33, -1)
    torch.testing.assert_close(before[:, :20], after[:, :20])
    assert not torch.allclose(before[:, 20:], after[:, 20:])


def test_attention_by_products_is_the_kernel() -> None:
    query, key, value = torch.randn(3, 2, 2, 16, 8, dtype=torch.bfloat16, generator=torch.Generator().manual_seed(0))
    reference = torch.nn.functional.scaled_dot_product_attention(
        query.float(), key.float(), value.float(), is_causal=True
    )
    torch.testing.assert_close(attention_by_products(query, key, value, None).float(), reference, rtol=0, atol=0.03)


def test_attention_refuses_a_mask_that_it_would_ignore() -> None:
    tensor = torch.zeros(1, 1, 4, 8)
    with pytest.raises(ValueError, match="mask"):
        causal_attention(torch.nn.Identity(), tensor, tensor, tensor, torch.ones(1, 4))
