"""Floating-point operations of a GPT-2, from its shapes.

    from mulfact.modeling.gpt2.flops import *
    forward_flops(ModelShape(12, 768, 3072, 50304), 1, 1024)

Convention, the one of PaLM (Chowdhery et al. 2022, arXiv 2204.02311, appendix B), Chinchilla (Hoffmann et al. 2022,
arXiv 2203.15556, appendix F) and nanoGPT's estimate_mfu: a multiplication and its addition count as two; matrix
products count, what is point-wise does not; attention counts all query-key pairs although half of them are masked; the
backward pass costs twice the forward pass; an embedding is a look-up and free, the output head is a matrix product,
tied or not. What a kernel skips (masked pairs, the head on positions without a label) or repeats (recomputation) does
not change the count.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from mulfact.errors import UserError

BACKWARD_OVER_FORWARD = 2  # one product for the gradient of the weights, one for the gradient of the activations
# Dense bf16 peak of one device in FLOP/s, from NVIDIA's data sheets; another device has no MFU.
PEAK_FLOPS = {
    "H200": 989.4e12, "H100 PCIe": 756e12, "H100 NVL": 835.5e12, "H100": 989.4e12, "A100": 312e12, "L40S": 362e12,
    "L40": 181e12, "L4": 121e12, "RTX 4090": 165.2e12, "RTX 3090": 71e12, "B200": 2250e12, "RTX 5090": 209.5e12,
    "RTX A6000": 154.8e12, "A10G": 70e12,
    "T4": 8.1e12,  # it has no bf16: its float32 peak
}  # fmt: skip


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a GPT-2 that decide its FLOPs and parameters."""

    n_layer: int
    n_embd: int
    n_inner: int
    vocab_size: int
    n_positions: int = 1024

    @classmethod
    def load(cls, model_dir: str | Path) -> Self:
        """Read the shape from config.json of a model folder. Raises UserError when that is not a GPT-2's."""
        path = Path(model_dir) / "config.json"
        try:
            config: dict[str, Any] = json.loads(path.read_text())
            return cls(
                n_layer=config["n_layer"],
                n_embd=config["n_embd"],
                n_inner=config.get("n_inner") or 4 * config["n_embd"],
                vocab_size=config["vocab_size"],
                n_positions=config["n_positions"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not the config.json of a GPT-2 ({error!r}); run its stage again") from error

    @property
    def parameters(self) -> int:
        """Parameters of GPT2LMHeadModel with a tied head: embeddings, blocks with biases, layer norms."""
        attention = 4 * self.n_embd**2 + 4 * self.n_embd
        feed_forward = 2 * self.n_embd * self.n_inner + self.n_inner + self.n_embd
        block = attention + feed_forward + 4 * self.n_embd
        return (self.vocab_size + self.n_positions) * self.n_embd + self.n_layer * block + 2 * self.n_embd

    @property
    def block_flops_per_position(self) -> int:
        """Forward FLOPs of all blocks on one position, without the attention scores."""
        return self.n_layer * 2 * (4 * self.n_embd**2 + 2 * self.n_embd * self.n_inner)

    @property
    def head_flops_per_position(self) -> int:
        return 2 * self.n_embd * self.vocab_size

    @property
    def attention_flops_per_pair(self) -> int:
        """Forward FLOPs of all layers for one query and one key: their score, and the value weighed by it."""
        return self.n_layer * 4 * self.n_embd


def forward_flops(shape: ModelShape, sequences: float, length: float, scored: float | None = None) -> int:
    """Return the forward FLOPs of `sequences` rows of `length` positions, which may be means.

    `scored`: positions of each row that go through the output head; None means all of them.
    """
    scored = length if scored is None else scored
    row = shape.block_flops_per_position * length
    row += shape.head_flops_per_position * scored
    row += shape.attention_flops_per_pair * length**2
    return round(sequences * row)


def backward_flops(forward: int, frozen: bool = False) -> int:
    """Return the backward FLOPs that belong to `forward`; `frozen` weights (LoRA) get no gradient of their own.

    The matrices of an adapter, a few percent of the model's, are not counted.
    """
    return forward if frozen else BACKWARD_OVER_FORWARD * forward


def generation_flops(shape: ModelShape, sequences: float, prompt: float, completion: float) -> int:
    """Return the FLOPs of sampling `completion` tokens after `prompt` positions with a key-value cache.

    The prompt is read in one pass that scores its last position only; then each token but the last is read alone, and
    attends to everything before it. Lengths may be means over sequences: the quadratic term is then a lower bound.
    """
    steps = max(completion - 1, 0)
    pairs = prompt**2 + steps * prompt + steps * (steps + 1) / 2
    row = shape.block_flops_per_position * (prompt + steps)
    row += shape.head_flops_per_position * (steps + 1)
    row += shape.attention_flops_per_pair * pairs
    return round(sequences * row)


def peak_flops(device: str | None) -> float | None:
    """Return the peak of a device by the name that its driver gives; None for another device.

    Of the names above the longest counts that stands there in whole words: an L40 is no L4.
    """
    known = [
        name for name in PEAK_FLOPS if re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", device or "")
    ]
    return PEAK_FLOPS[max(known, key=len)] if known else None
