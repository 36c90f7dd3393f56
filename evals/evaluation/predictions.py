"""The per-item table: what was asked, what was generated, what it counts as.

    python -c "import pandas; print(pandas.read_parquet('outputs/smoke/mulfact/seed-0/eval/sft/predictions.parquet'))"

Everything that compares arms starts from these rows, paired by `task` and `item_id`.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from transformers import PreTrainedTokenizerBase

from mulfact.evals.evaluation.harness import Outcome
from mulfact.evals.evaluation.tasks import GOLD_BITS, VERDICTS
from mulfact.evals.grading.answers import grade
from mulfact.evals.grading.error_classes import classify_error

SCHEMA = pa.schema(
    [
        ("task", pa.string()),
        ("family", pa.string()),
        ("item_id", pa.string()),
        ("prompt", pa.string()),
        ("gold", pa.string()),
        ("text", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("generated_tokens", pa.int32()),
        ("fact_tokens", pa.list_(pa.string())),
        ("extracted", pa.string()),
        ("correct", pa.bool_()),
        ("correct_strict", pa.bool_()),
        ("correct_flexible", pa.bool_()),
        ("error_class", pa.string()),
        ("truncated", pa.bool_()),
        ("operands", pa.list_(pa.int32())),
        ("operations", pa.list_(pa.string())),
        ("facts", pa.list_(pa.list_(pa.int32()))),
        ("gold_bits_per_character", pa.float64()),
    ]
)


def prediction(
    task: str,
    outcome: Outcome,
    tokenizer: PreTrainedTokenizerBase,
    stop_sequences: Sequence[str],
    fact_tokens: Mapping[int, str],
) -> dict[str, Any]:
    """Return the row of one item. `fact_tokens` names the ids that stand for facts (facts.json)."""
    item = outcome.item
    token_ids, truncated = cut_completion(outcome.generated_ids, tokenizer, stop_sequences)
    return {
        "task": task,
        "family": item.family,
        "item_id": item.id,
        "prompt": item.prompt,
        "gold": item.answer,
        "text": outcome.text,
        "token_ids": token_ids,
        "generated_tokens": len(token_ids),
        "fact_tokens": [fact_tokens[token_id] for token_id in token_ids if token_id in fact_tokens],
        "extracted": grade(outcome.text, item.answer, item.answer_rule).extracted,
        **{name: outcome.metrics[name] for name in VERDICTS},
        "error_class": classify_error(
            outcome.text, item.answer, truncated, item.answer_rule, calculation=item.family == "arithmetic"
        ),
        "truncated": truncated,
        "operands": item.operands,
        "operations": item.operations,
        "facts": item.facts,
        GOLD_BITS: outcome.metrics.get(GOLD_BITS),
    }


def cut_completion(
    generated_ids: Sequence[int], tokenizer: PreTrainedTokenizerBase, stop_sequences: Sequence[str]
) -> tuple[list[int], bool]:
    """Return the ids in front of the eos or the first stop sequence, and whether the limit came before both.

    A batch goes on until its last row is done, so what a row holds behind its own end depends on the others in it.
    A token that holds both text and the beginning of a stop sequence is dropped.
    """

    token_ids = list(generated_ids)
    ended = tokenizer.eos_token_id in token_ids
    if ended:
        token_ids = token_ids[: token_ids.index(tokenizer.eos_token_id)]
    text = tokenizer.decode(token_ids, skip_special_tokens=True)
    stops = [text.index(stop) for stop in stop_sequences if stop in text]
    if not stops:
        return token_ids, not ended

    def reaches_stop(position: int) -> bool:
        return len(tokenizer.decode(token_ids[: position + 1], skip_special_tokens=True)) > min(stops)

    return token_ids[: bisect_left(range(len(token_ids)), True, key=reaches_stop)], False


def write_predictions(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows as parquet with the columns of SCHEMA."""
    pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMA), path)


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means over the items of one task, and how many of its wrong items fall in each error class."""
    bits = [row[GOLD_BITS] for row in rows if row[GOLD_BITS] is not None]
    return {
        "items": len(rows),
        "accuracy": fmean(row["correct"] for row in rows),
        "accuracy_strict": fmean(row["correct_strict"] for row in rows),
        "accuracy_flexible": fmean(row["correct_flexible"] for row in rows),
        "mean_generated_tokens": fmean(row["generated_tokens"] for row in rows),
        "mean_fact_tokens": fmean(len(row["fact_tokens"]) for row in rows),
        "error_classes": dict(sorted(Counter(row["error_class"] for row in rows if row["error_class"]).items())),
        GOLD_BITS: fmean(bits) if bits else None,
    }
