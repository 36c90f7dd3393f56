"""Every way to compute the loss of the output head gives the loss and the gradients of plain torch."""

import pytest
import torch
import torch.nn.functional as F

from mulfact.errors import UserError
from mulfact.modeling.gpt2 import loss as loss_module
from mulfact.modeling.gpt2.loss import IGNORED, linear_cross_entropy

TOKENS, WIDTH, VOCABULARY = 50, 16, 71


def problem(ignored: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, head weight and labels, the first `ignored` of them -100."""
    torch.manual_seed(0)
    hidden = torch.randn(TOKENS, WIDTH, requires_grad=True)
    weight = torch.randn(VOCABULARY, WIDTH, requires_grad=True)
    labels = torch.randint(VOCABULARY, (TOKENS,))
    labels[:ignored] = IGNORED
    return hidden, weight, labels


def loss_and_gradients(implementation: str, ignored: int = 0, scale: float = 1.0) -> list[torch.Tensor]:
    hidden, weight, labels = problem(ignored)
    loss = linear_cross_entropy(hidden, weight, labels, implementation)
    (loss * scale).backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return [loss.detach(), hidden.grad, weight.grad]


@pytest.mark.parametrize("ignored", [0, 20])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_chunked_equals_plain(monkeypatch: pytest.MonkeyPatch, ignored: int, scale: float) -> None:
    monkeypatch.setitem(loss_module.CHUNK_LOGITS, "cpu", 16 * VOCABULARY)
    plain = loss_and_gradients("plain", ignored, scale)
    chunked = loss_and_gradients("chunked", ignored, scale)
    torch.testing.assert_close(chunked[0], plain[0], rtol=0, atol=1e-6)
    for ours, reference in zip(chunked[1:], plain[1:], strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-5, atol=1e-6)


def test_plain_is_the_textbook_formula() -> None:
    hidden, weight, labels = problem(ignored=20)
    probabilities = (hidden @ weight.T).softmax(-1)[torch.arange(20, TOKENS), labels[20:]]
    torch.testing.assert_close(linear_cross_entropy(hidden, weight, labels, "plain"), -probabilities.log().mean())


def test_chunked_survives_logits_that_overflow_exp() -> None:
    hidden, weight, labels = problem()
    loss = linear_cross_entropy(hidden * 1000, weight, labels, "chunked")
    torch.testing.assert_close(loss, F.cross_entropy(hidden * 1000 @ weight.T, labels))


def test_chunked_in_bfloat16_is_near_and_keeps_float32_gradients() -> None:
    reference = loss_and_gradients("plain")
    hidden, weight, labels = problem()
    with torch.autocast("cpu", torch.bfloat16):
        loss = linear_cross_entropy(hidden, weight, labels, "chunked")
    loss.backward()
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32
    torch.testing.assert_close(loss, reference[0], rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(weight.grad, reference[2], rtol=0.1, atol=1e-2)


@pytest.mark.parametrize("implementation", ["liger", "liger_cutedsl"])
def test_liger_where_it_cannot_run_is_the_users_error(implementation: str) -> None:
    with pytest.raises(UserError, match="liger"):
        linear_cross_entropy(*problem(), implementation)
