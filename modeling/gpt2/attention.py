"""Causal attention without a mask tensor, for training on full windows.

Under torch.compile transformers materialises the causal mask, and attention then takes a quarter of the step. This
attention function asks for the kernel's own causal mode, and the mask function beside it makes no mask at all. It is
right only for sequences without padding and without a key-value cache: exactly what pretraining reads. A model is
switched to it for training and saved as the ordinary model it is.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AttentionInterface, AttentionMaskInterface

CAUSAL_WITHOUT_MASK = "causal_without_mask"
# On a GPU, the first of these that can: cuDNN's kernel is made for Hopper, torch's own choice is the second one.
KERNELS = [
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]


def causal_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return causal attention over (batch, heads, length, width) as (batch, length, heads, width)."""
    if attention_mask is not None:
        raise ValueError(f"{CAUSAL_WITHOUT_MASK} attends to every earlier position; it cannot honour an attention mask")
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        return attention_by_products(query, key, value, scaling).transpose(1, 2), None
    with sdpa_kernel(KERNELS, set_priority=True):
        output = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scaling, is_causal=True)
    return output.transpose(1, 2), None


def attention_by_products(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """Return causal attention, (batch, heads, length, width), from two plain matrix products.

    In bfloat16 on a CPU torch's own attention kernel takes two to three times as long as these.
    """
    length = query.shape[-2]
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    later = torch.full((length, length), -math.inf, dtype=query.dtype).triu(1)
    scores = torch.matmul(query * scale, key.transpose(-1, -2)) + later
    return torch.matmul(scores.softmax(dim=-1), value)


def no_mask(*args: Any, attention_mask: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor | None:
    """Return the caller's mask as it is; without one there is none."""
    return attention_mask


AttentionInterface.register(CAUSAL_WITHOUT_MASK, causal_attention)
AttentionMaskInterface.register(CAUSAL_WITHOUT_MASK, no_mask)
