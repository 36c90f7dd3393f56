"""Rewards of `trl grpo`, named in a recipe by dotted path.

    reward_funcs: [mulfact.evals.rewards.exact_match]
    env: {MULFACT_FACTS: <model folder>/facts.json, MULFACT_STOP_SEQUENCES: '["\\nQuestion:"]'}

Every reward is a function of the completion's text and of what the data set says about its prompt, so two completions
that differ only in their tokens are paid the same. Token ids are read to be counted and logged, never to be paid for.
The answer is read where evaluation reads it, in front of the first stop sequence; tokens behind that are spent for
nothing. The rewards below `exact_match` are optional terms about the whole completion: list them after it, with TRL's
`reward_weights`, in every arm alike. `trl grpo` exports the `env` mapping of its recipe, which is how a reward, called
without the model, finds out which ids are fact tokens and which strings stop a completion.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

from mulfact.data_builders.problems.prompts import extract_answer
from mulfact.errors import UserError
from mulfact.evals.grading.answers import is_correct, text_before
from mulfact.modeling.gpt2.left_padding import positions_follow_mask
from mulfact.tokenizers.facts import facts_from

# Of this project `trl grpo` imports only this module, and it scores GPT-2's rollouts wrong without.
positions_follow_mask()

FACTS_VARIABLE = "MULFACT_FACTS"
STOP_VARIABLE = "MULFACT_STOP_SEQUENCES"
FULL_LENGTH = 1000  # characters at which `brevity` is -1
LAST_LINE = re.compile(r"#### -?[0-9.,]+\s*\Z")

LogMetric = Callable[[str, float], None]
LogExtra = Callable[[str, list], None]


def exact_match(
    completions: Sequence[str],
    answer: Sequence[str],
    source: Sequence[str] | None = None,
    completion_ids: Sequence[Sequence[int]] | None = None,
    log_metric: LogMetric | None = None,
    log_extra: LogExtra | None = None,
    stop_sequences: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[float]:
    """Return 1.0 for each completion with the right final answer by the headline rule, else 0.0.

    Reads a completion up to the first of `stop_sequences`; None: those that MULFACT_STOP_SEQUENCES holds.
    Logs, per batch and per completion: fact tokens, length in tokens and in characters, whether there is an answer, and
    the share of repeated word 4-grams; per batch also the mean reward of each source of problems (`reward_gsm8k`).
    Raises UserError when MULFACT_FACTS names a file that is missing or is not a facts.json, and when nobody says what
    stops a completion: another text than the evaluated one would be graded.
    """
    stops = exported_stop_sequences(os.environ.get(STOP_VARIABLE)) if stop_sequences is None else stop_sequences
    extracted = [extract_answer(text_before(text, stops)) for text in completions]
    columns: dict[str, list] = {
        "completion_characters": [len(text) for text in completions],
        "answered": [answer is not None for answer in extracted],
        "repetition": [repetition_rate(text) for text in completions],
    }
    if completion_ids is not None:
        columns["completion_tokens"] = [len(ids) for ids in completion_ids]
        facts = fact_token_ids(os.environ.get(FACTS_VARIABLE))
        if facts is not None:
            columns["fact_tokens"] = [sum(token in facts for token in ids) for ids in completion_ids]
    for name, values in columns.items():
        if log_extra is not None:
            log_extra(name, values)
        if log_metric is not None:
            log_metric(name, sum(values) / len(values))
    if log_extra is not None:
        log_extra("extracted", extracted)
        log_extra("gold", list(answer))
    rewards = [float(is_correct(found, gold)) for found, gold in zip(extracted, answer, strict=True)]
    if log_metric is not None and source is not None:
        for name in sorted(set(source)):
            log_metric(f"reward_{name}", fmean(r for r, its in zip(rewards, source, strict=True) if its == name))
    return rewards


def answer_format(completions: Sequence[str], **kwargs: Any) -> list[float]:
    """Return 1.0 for each completion with one #### in it, in front of a number that is its last line, else 0.0."""
    return [float(text.count("####") == 1 and LAST_LINE.search(text) is not None) for text in completions]


def brevity(completions: Sequence[str], **kwargs: Any) -> list[float]:
    """Return from 0 (empty) to -1 (1,000 characters or more): in characters, because token counts differ by arm."""
    return [-min(1.0, len(text) / FULL_LENGTH) for text in completions]


def no_repetition(completions: Sequence[str], **kwargs: Any) -> list[float]:
    """Return from 0 (every word 4-gram is new) to nearly -1 (one 4-gram again and again)."""
    return [-repetition_rate(text) for text in completions]


def repetition_rate(text: str, n: int = 4) -> float:
    """Return the share of the word n-grams of `text` that stood in it before; 0 for fewer than two."""
    words = text.split()
    grams = list(zip(*(words[start:] for start in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@lru_cache
def exported_stop_sequences(exported: str | None) -> tuple[str, ...]:
    """Return the stop sequences of a chain of thought from a JSON list of strings.

    Raises UserError when it is missing or something else.
    """
    try:
        stops = json.loads(exported or "")
    except ValueError:
        stops = None
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise UserError(
            f"{STOP_VARIABLE}={exported}: expected a JSON list of strings; set it in the env of the grpo recipe to "
            "${json:${eval.stop_sequences.cot}}, so that training grades the text that evaluation grades"
        )
    return tuple(stops)


@lru_cache
def fact_token_ids(facts_file: str | None) -> frozenset[int] | None:
    """Return the ids of the fact tokens of a model; empty for an arm without them, None when no file is named.

    Raises UserError when the file is missing or is not a facts.json.
    """
    if not facts_file:
        return None  # nothing is logged then: a count of 0 would be a claim
    try:
        return frozenset(facts_from(json.loads(Path(facts_file).read_text())).by_id)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{FACTS_VARIABLE}={facts_file}: not a readable facts.json ({error}); set it in the env of the grpo recipe "
            "to the facts.json of the model's folder"
        ) from error
