"""Positions that are counted from the first real token of a row, where TRL pads prompts on the left.

GPT-2 adds a learned vector for each absolute position. `generate` counts positions from the first token that the
attention mask admits; `GPT2Model.forward`, given no positions, counts from the start of the row, padding included.
TRL's GRPO trainer left-pads its prompts and gives none (nor do its online trainers: huggingface/trl#6800), so it would
score each rollout as a text that the model never wrote, shifted by the padding. How far a row is shifted depends on the
lengths of prompts in tokens, which differ between the arms.
"""

import functools
import inspect
from typing import Any

from transformers.models.gpt2.modeling_gpt2 import GPT2Model

MARK = "positions_follow_mask"
CACHES = ("past_key_values", "cache")  # its name before and from transformers 5.24 on


def positions_follow_mask() -> None:
    """Let every `GPT2Model` of this process derive the positions from a 2-D attention mask when it is given none.

    Rows without left padding, and steps with a key-value cache, keep what they had. Calling it again changes nothing.
    """
    forward = GPT2Model.forward
    if hasattr(forward, MARK):
        return
    signature = inspect.signature(forward)

    @functools.wraps(forward)
    def with_positions(self: GPT2Model, *args: Any, **kwargs: Any) -> Any:
        named = dict(signature.bind(self, *args, **kwargs).arguments)
        named |= named.pop("kwargs", {})
        mask, cached = named.get("attention_mask"), any(named.get(name) is not None for name in CACHES)
        if named.get("position_ids") is None and not cached and mask is not None and mask.ndim == 2:
            named["position_ids"] = (mask.long().cumsum(-1) - 1).clamp(min=0)
        return forward(**named)

    setattr(with_positions, MARK, True)
    GPT2Model.forward = with_positions  # type: ignore[method-assign]
