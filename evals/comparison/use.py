"""The 2x2 of use, compared inside each checkpoint: what is lost without rewritten prompts, without fact tokens, both.

use(arguments, runs, extended)     # entries of results.json; docs/results_schema.md describes them

Every item has its four outcomes from the same weights, so a difference needs no second seed and no other arm. A value
below zero says what the checkpoint cannot do without.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.estimates import mcnemar_table, units_of
from mulfact.evals.comparison.runs import Run
from mulfact.evals.comparison.significance import estimate_mean
from mulfact.evals.evaluation.use import PROMPTS, TOKENS

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]
Cell = tuple[str, str]  # how prompts are encoded, what becomes of fact tokens
ORDINARY = PROMPTS[0], TOKENS[0]
WITHOUT: dict[str, Cell] = {
    "tokens": (PROMPTS[0], TOKENS[1]),
    "rewriting": (PROMPTS[1], TOKENS[0]),
    "both": (PROMPTS[1], TOKENS[1]),
}


def use(arguments: CompareArguments, runs: Runs, extended: Runs) -> list[Entry]:
    """Return the 2x2 of each arm, stage and task, and of each stratum that `extended` holds as a task of its own."""
    first = next(iter(extended.values()))
    members = items_by_task(first, arguments.primary_stage)
    units = {task: units_of(extended, arguments.primary_stage, task) for task in members}
    entries = []
    for condition in arguments.conditions:
        before: dict[str, dict[Cell, np.ndarray]] = {}
        group = [runs[condition, seed] for seed in arguments.seeds]
        for stage in group[0].use:
            asked = set(group[0].use[stage]["item_id"])
            for task, items in members.items():
                if not items <= asked:
                    continue
                cells = outcomes([run.use[stage] for run in group], items)
                entry = {"condition": condition, "stage": stage, "task": task, "items": len(items)}
                entries.append(entry | describe(arguments, cells, before.get(task), units[task]))
                before[task] = cells
    return entries


def items_by_task(run: Run, stage: str) -> dict[str, set[str]]:
    """Return the items of each task and stratum, as the primary stage has them."""
    return {str(task): set(rows["item_id"]) for task, rows in run.predictions[stage].groupby("task")}


def outcomes(tables: list[pd.DataFrame], items: set[str]) -> dict[Cell, np.ndarray]:
    """Return which items were right, seeds x items in the order of their ids, by cell."""
    by_seed = [
        table[table["item_id"].isin(items)].pivot(index="item_id", columns=["prompts", "tokens"], values="correct")
        for table in tables
    ]
    return {(p, t): np.stack([table[p, t].to_numpy(float) for table in by_seed]) for p in PROMPTS for t in TOKENS}


def describe(
    arguments: CompareArguments,
    cells: Mapping[Cell, np.ndarray],
    before: Mapping[Cell, np.ndarray] | None,
    units: Sequence[str],
) -> Entry:
    """Return the accuracies of the cells, and what is lost without tokens, rewriting and both.

    `before`: the cells after the stage before, the same items; a loss then also has its change since. `units`: the fact
    that each item asks for, or itself.
    """
    losses = []
    for without, cell in WITHOUT.items():
        loss = cells[cell] - cells[ORDINARY]
        change = None if before is None else loss - (before[cell] - before[ORDINARY])
        losses.append(
            {
                "without": without,
                **difference(arguments, loss, units),
                "mcnemar": {
                    str(seed): mcnemar(ordinary, restricted, units)
                    for seed, ordinary, restricted in zip(arguments.seeds, cells[ORDINARY], cells[cell], strict=True)
                },
                "change": None if change is None else difference(arguments, change, units),
            }
        )
    return {
        "cells": [
            {"prompts": prompts, "tokens": tokens, "accuracy": float(correct.mean())}
            | {"seeds": dict(zip(map(str, arguments.seeds), correct.mean(axis=1).tolist(), strict=True))}
            for (prompts, tokens), correct in cells.items()
        ],
        "losses": losses,
    }


def difference(arguments: CompareArguments, values: np.ndarray, units: Sequence[str]) -> Entry:
    estimate = estimate_mean(values, arguments.confidence_level, units)
    return {"difference": estimate.mean, "interval": [estimate.low, estimate.high], "p_value": estimate.p_value}


def mcnemar(ordinary: np.ndarray, restricted: np.ndarray, units: Sequence[str]) -> Entry:
    """Return McNemar's table and p-value with the cells by their roles."""
    table = mcnemar_table(ordinary, restricted, units)
    return {
        "only_ordinary": table.pop("only_reference"),
        "only_restricted": table.pop("only_condition"),
        **table,
    }
