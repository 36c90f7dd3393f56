"""Cross-entropy of the tied output head, without keeping the logits.

The logits of a batch are its largest tensor: 64 x 1024 tokens x 50,304 words. `chunked` computes them a few thousand
tokens at a time and takes the gradients on the spot, as Liger's fused kernel does (Hsu et al. 2024, arXiv:2410.10989),
in plain torch, so it runs everywhere. `liger` is that kernel, for a GPU, as one operator that torch.compile leaves
alone, and `liger_cutedsl` the same around a cross-entropy that is written for Hopper. `plain` is the reference. Torch's
own chunks (`F.linear_cross_entropy` with options) hold three times as much (docs/results/2026-11-28-output-head.md).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mulfact.errors import UserError

IGNORED = -100
# Logits that are held at a time: what fits a core's cache, or one GB of a GPU.
CHUNK_LOGITS = {"cpu": 2**21, "cuda": 2**28}
# The cross-entropy inside of Liger's kernel: its own, or one that it chooses by name.
LIGER_KERNELS = {"liger": "", "liger_cutedsl": "nvidia-cutedsl"}
LIGER_LOGITS = 2**30  # in bf16 two GB: the head's matrix products are then as fast as on the whole batch


def linear_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, implementation: str) -> Tensor:
    """Return the mean cross-entropy in nats of `labels` under softmax(hidden @ weight.T).

    `hidden` is (tokens, width), `weight` (vocabulary, width), `labels` (tokens,); labels of -100 are not counted.
    Raises UserError when the implementation cannot run here.
    """
    if implementation == "plain":
        return F.cross_entropy(F.linear(hidden, weight).float(), labels, ignore_index=IGNORED)
    if implementation == "chunked":
        return ChunkedLinearCrossEntropy.apply(hidden, weight, labels)
    if torch.is_autocast_enabled(hidden.device.type):
        dtype = torch.get_autocast_dtype(hidden.device.type)
        hidden, weight = hidden.to(dtype), weight.to(dtype)
    return liger_cross_entropy(hidden, weight, labels, LIGER_KERNELS[implementation])[0] / (labels != IGNORED).sum()


def token_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy in nats of each label, 0 for -100, without holding the logits of all; no gradients."""
    size = chunk_size(hidden, weight)
    losses = [
        F.cross_entropy(F.linear(rows, weight).float(), targets, ignore_index=IGNORED, reduction="none")
        for rows, targets in zip(hidden.split(size), labels.split(size), strict=True)
    ]
    return torch.cat(losses)


def chunk_size(hidden: Tensor, weight: Tensor) -> int:
    """Return how many tokens have their logits held at a time."""
    return max(1, CHUNK_LOGITS.get(hidden.device.type, 2**28) // len(weight))


@torch.library.custom_op("mulfact::liger_cross_entropy", mutates_args=())
def liger_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor, kernel: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the summed cross-entropy and its gradients by `hidden` and `weight`, from Liger's fused kernel.

    `kernel` names the cross-entropy inside of it, one of Liger's; without a name it is Liger's first own.
    Raises UserError where Liger is not installed or has no such kernel.
    """
    try:
        import triton
        from liger_kernel.backends import ImplNotAvailableError
        from liger_kernel.ops.fused_linear_cross_entropy import fused_linear_cross_entropy_forward
    except ImportError as error:
        raise UserError(
            f"pretrain.loss is liger, but {error.name} is not installed: pip install "
            "--editable '.[gpu]', or set it to chunked"
        ) from error
    if hidden.device.type == "cpu" and not triton.knobs.runtime.interpret:
        raise UserError("pretrain.loss is liger, which has no CPU kernel: set it to chunked")
    try:
        with torch.no_grad():
            loss, _, _, _, grad_hidden, grad_weight, _ = fused_linear_cross_entropy_forward(
                hidden, weight, labels, ignore_index=IGNORED, reduction="sum", accum_dtype=torch.float32,
                compute_gradients=True, weight_requires_grad=True,
                chunk_mem_const=max(1, LIGER_LOGITS // hidden.numel()),  # Liger counts in sizes of `hidden`
                ce_impl=kernel or None,
            )  # fmt: skip
    except ImplNotAvailableError as error:
        raise UserError(
            f"pretrain.loss is liger_cutedsl, which cannot run here: {error} On a Hopper GPU pip install "
            "nvidia-cutlass-dsl, else set it to liger"
        ) from error
    return loss, grad_hidden, grad_weight


@liger_cross_entropy.register_fake
def _shapes(hidden: Tensor, weight: Tensor, labels: Tensor, kernel: str) -> tuple[Tensor, Tensor, Tensor]:
    return hidden.new_empty((), dtype=torch.float32), torch.empty_like(hidden), torch.empty_like(weight)


def _keep_gradients(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*output[1:])


def _scale_gradients(ctx: Any, grad_loss: Tensor, *unused: Tensor) -> tuple[Tensor, Tensor, None, None]:
    grad_hidden, grad_weight = ctx.saved_tensors
    return grad_hidden * grad_loss, grad_weight * grad_loss, None, None


liger_cross_entropy.register_autograd(_scale_gradients, setup_context=_keep_gradients)


class ChunkedLinearCrossEntropy(torch.autograd.Function):
    """Mean cross-entropy with both gradients computed in the forward pass, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        counted = labels != IGNORED
        scale = 1.0 / counted.sum()
        dtype = torch.get_autocast_dtype(hidden.device.type) if torch.is_autocast_enabled(hidden.device.type) else None
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight, dtype=torch.float32)
        with torch.autocast(hidden.device.type, enabled=False):
            cast_hidden, cast_weight = (hidden, weight) if dtype is None else (hidden.to(dtype), weight.to(dtype))
            size = chunk_size(hidden, weight)
            for start in range(0, len(labels), size):
                chunk = slice(start, start + size)
                logits = F.linear(cast_hidden[chunk], cast_weight).float()
                index = labels[chunk].clamp(min=0).unsqueeze(-1)
                weights = (counted[chunk] * scale).unsqueeze(-1)
                largest, chosen = logits.amax(dim=-1, keepdim=True), logits.gather(-1, index)
                exponentials = logits.sub_(largest).exp_()  # in place: these are the largest tensors of the step
                normalizer = exponentials.sum(dim=-1, keepdim=True)
                total += ((largest + normalizer.log() - chosen) * weights).sum()
                # d loss / d logits = softmax - one-hot
                gradient = exponentials.mul_(weights / normalizer).scatter_add_(-1, index, -weights)
                gradient = gradient.to(cast_hidden.dtype)
                grad_hidden[chunk] = gradient @ cast_weight
                grad_weight += gradient.T @ cast_hidden[chunk]
        ctx.save_for_backward(grad_hidden, grad_weight.to(weight.dtype))
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grad_outputs[0], grad_weight * grad_outputs[0], None
