"""Secondary measures: how facts are used, and measures other than accuracy."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.estimates import matrix, tasks_of, units_of
from mulfact.evals.comparison.outcomes import BITS_PER_BYTE, products
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.evals.comparison.significance import estimate_difference
from mulfact.evals.comparison.strata import facts_of
from mulfact.tokenizers.facts import LARGEST_OPERAND

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]


def fact_use(runs: Runs) -> list[Entry]:
    """Return how each arm used its added tokens, by stage and task, over seeds; arms that generated none are left out.

    `right`: the share of the generated facts that the item's gold solution holds; None where that is not known, and for
    tokens that stand for no product.
    """
    entries = []
    for condition in dict.fromkeys(condition for condition, _ in runs):
        group = [run for (name, _), run in runs.items() if name == condition]
        operands = {name: tuple(sorted(pair)) for name, pair in products(group[0]).items()}
        for stage in stages_of(runs):
            tables = pd.concat([run.predictions[stage] for run in group])
            for task, table in tables.groupby("task", sort=False):
                used = table[table["fact_tokens"].map(len) > 0]
                if used.empty:
                    continue
                verdicts = [
                    operands[name] in facts_of(known, LARGEST_OPERAND)
                    for known, names in zip(used["facts"], used["fact_tokens"], strict=True)
                    for name in (names if known is not None else [])
                    if name in operands
                ]
                entries.append(
                    {
                        "condition": condition,
                        "stage": stage,
                        "task": task,
                        "share_of_completions": len(used) / len(table),
                        "tokens_per_completion": float(table["fact_tokens"].map(len).mean()),
                        "right": float(np.mean(verdicts)) if verdicts else None,
                    }
                )
    return entries


def measures(arguments: CompareArguments, runs: Runs, curves: list[Entry]) -> list[Entry]:
    """Return measures other than accuracy by arm, with the difference to the reference and its interval.

    Bits per byte have one value a seed, and none has an interval with one seed. The others are paired by item, and told
    of each stratum that `runs` hold as a task of its own.
    """
    final = {(curve["condition"], curve["seed"]): curve["points"][-1] for curve in curves if curve["points"]}
    entries = []
    for name in BITS_PER_BYTE:
        by_arm = {
            condition: np.array([[final.get((condition, seed), {}).get(name)] for seed in arguments.seeds], dtype=float)
            for condition in arguments.conditions
        }
        entries += paired(arguments, name, "pretrain", "validation", by_arm)
    for name in ("generated_tokens", "gold_bits_per_character"):
        for task in tasks_of(runs, arguments.primary_stage):
            by_arm = {
                condition: matrix(runs, condition, arguments.seeds, arguments.primary_stage, task, name)
                for condition in arguments.conditions
            }
            units = units_of(runs, arguments.primary_stage, task)
            entries += paired(arguments, name, arguments.primary_stage, task, by_arm, units)
    return entries


def spelling(arguments: CompareArguments, measured: list[Entry]) -> list[Entry]:
    """Return each arm's gap in validation loss on text as spelled, on canonical text, and on that without facts.

    `share`: of the first gap, what is gone on canonical text; None where the gap grows there or turns round, of which
    no share can be told. An arm that learned many spellings pays on canonical text for choosing the one, so spelling is
    out of the last gap alone, and out of the gap between two arms that rewrite alike.
    """
    gaps = {
        (entry["measure"], entry["condition"]): entry["difference"]
        for entry in measured
        if entry["task"] == "validation" and entry["difference"] is not None
    }
    entries = []
    for condition in arguments.treatments:
        raw, canonical = (gaps.get((name, condition)) for name in ("bits_per_byte", "canonical_bits_per_byte"))
        if raw is not None and canonical is not None:
            share = (raw - canonical) / raw if raw else None
            share = share if share is not None and 0 <= share <= 1 else None
            free = gaps.get(("canonical_bits_per_byte_fact_free", condition))
            entry = {"condition": condition, "gap": raw, "canonical_gap": canonical, "fact_free_gap": free}
            entries.append(entry | {"share": share})
    return entries


def paired(
    arguments: CompareArguments,
    name: str,
    stage: str,
    task: str,
    by_arm: Mapping[str, np.ndarray],
    units: Sequence[str] | None = None,
) -> list[Entry]:
    """Return an entry an arm from its (seeds, items) values; none where a value is missing."""
    if any(np.isnan(values).any() for values in by_arm.values()):
        return []
    entries = []
    for condition, values in by_arm.items():
        entry: Entry = {
            "measure": name,
            "stage": stage,
            "task": task,
            "condition": condition,
            "seeds": dict(zip(map(str, arguments.seeds), values.mean(axis=1).tolist(), strict=True)),
            "mean": float(values.mean()),
            "difference": None,
            "interval": None,
        }
        if condition != arguments.reference:
            reference = by_arm[arguments.reference]
            entry["difference"] = float(values.mean() - reference.mean())
            entry["interval"] = change_interval(reference, values, arguments, units)
        entries.append(entry)
    return entries


def change_interval(
    first: np.ndarray, second: np.ndarray, arguments: CompareArguments, units: Sequence[str] | None
) -> list[float] | None:
    """Return the interval of a mean change; None where nothing varies from which it could be estimated."""
    estimate = estimate_difference(first, second, arguments.confidence_level, units=units)
    return [estimate.low, estimate.high] if estimate.variance.standard_error else None
