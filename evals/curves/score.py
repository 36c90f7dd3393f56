"""Bits of an answer given its prompt, of many at once and without generating: one forward pass for a batch.

    bits, correct = score(model, encode(probes, tokenizer), batch_size=256)

The answer is a text, and its bits are the sum over the tokens in which the arm writes it: so they compare
between tokenizers. It is correct where each of these tokens is the most likely one: what greedy decoding gives.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerBase

from mulfact.errors import UserError
from mulfact.evals.curves.probes import Probe

Encoded = tuple[list[int], int]  # ids of prompt and answer, and how many of them are the answer's


def encode(probes: Sequence[Probe], tokenizer: PreTrainedTokenizerBase) -> list[Encoded]:
    """Return the ids of each probe: prompt and answer are encoded apart, as a model that is asked meets them."""
    prompts = tokenizer([probe.prompt for probe in probes])["input_ids"]
    answers = tokenizer([probe.answer for probe in probes])["input_ids"]
    return [(prompt + answer, len(answer)) for prompt, answer in zip(prompts, answers, strict=True)]


@torch.inference_mode()
def score(model: GPT2LMHeadModel, encoded: Sequence[Encoded], batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bits of each answer, float64, and whether greedy decoding gives it, both (probes,).

    Raises UserError where a probe is longer than the model's window.
    """
    longest = max(len(ids) for ids, _ in encoded)
    if longest > model.config.n_positions:
        raise UserError(
            f"a prompt with its answer has {longest} tokens, the model's window {model.config.n_positions}: raise "
            "pretrain.n_positions"
        )
    bits, correct = np.zeros(len(encoded)), np.ones(len(encoded), bool)
    order = sorted(range(len(encoded)), key=lambda index: len(encoded[index][0]))  # little padding
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        rows = [encoded[index] for index in chosen]
        longest = max(len(ids) for ids, _ in rows)
        # Padding is on the right, where a causal model does not look.
        inputs = torch.tensor([ids + [0] * (longest - len(ids)) for ids, _ in rows], device=model.device)
        owners = [row for row, (_, length) in enumerate(rows) for _ in range(length)]
        places = [place for ids, length in rows for place in range(len(ids) - length, len(ids))]
        targets = inputs[owners, places]
        hidden = model.transformer(inputs).last_hidden_state[owners, [place - 1 for place in places]]
        logits = model.lm_head(hidden).float()  # only where an answer is predicted
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none").double().cpu().numpy()
        right = (logits.argmax(-1) == targets).cpu().numpy()
        np.add.at(bits, np.array(chosen)[owners], losses / math.log(2))
        np.logical_and.at(correct, np.array(chosen)[owners], right)
    return bits, correct
