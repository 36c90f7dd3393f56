"""Positions that are counted from the first real token of a row, where TRL pads prompts on the left.

GPT-2 adds a learned vector for each absolute position. `generate` counts positions from the first token that the
attention mask admits; `GPT2Model.forward`, given no positions, counts from the start of the row, padding included.
TRL's GRPO trainer left-pads its prompts and gives none (nor do its online trainers: huggingface/trl#6800), so it would
score each rollout as a text that the model never wrote, shifted by the padding. How far a row is shifted depends on the
lengths of prompts in tokens, which differ between the arms.
"""

import functools
from typing import Any

import torch
from transformers.models.gpt2.modeling_gpt2 import GPT2Model

MARK = "positions_follow_mask"


def positions_follow_mask() -> None:
    """Let every `GPT2Model` of this process derive the positions from a 2-D attention mask when it is given none.

    Rows without left padding, and steps with a key-value cache, keep what they had. Calling it again changes nothing.
    """
    forward = GPT2Model.forward
    if hasattr(forward, MARK):
        return

    @functools.wraps(forward)
    def with_positions(
        self: GPT2Model,
        input_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        if position_ids is None and past_key_values is None and attention_mask is not None and attention_mask.ndim == 2:
            position_ids = (attention_mask.long().cumsum(-1) - 1).clamp(min=0)
        return forward(self, input_ids, past_key_values, attention_mask, token_type_ids, position_ids, *args, **kwargs)

    setattr(with_positions, MARK, True)
    GPT2Model.forward = with_positions  # type: ignore[method-assign]
