"""Parts of a task, the same items in every arm: with a fact of 1-9 in the gold solution or without, and by operation.

with_strata(runs, "grpo")       # gsm8k_cot gives gsm8k_cot_facts, gsm8k_cot_no_facts, gsm8k_cot_add, ...
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from mulfact.data_builders.problem_sets.reasoning_gym_probes import PACKAGE
from mulfact.data_builders.problems.calculations import LARGEST_FACT, OPERATIONS
from mulfact.evals.comparison.runs import Run

Runs = Mapping[tuple[str, int], Run]
Fact = tuple[int, int]
FACTS, NO_FACTS = "facts", "no_facts"
STRATA = {
    FACTS: f"items whose solution uses a fact of 1-{LARGEST_FACT}",
    NO_FACTS: f"items whose solution uses no fact of 1-{LARGEST_FACT}",
    **{name: f"items whose solution uses the operation {name}" for name in OPERATIONS},
}
FEWEST_ITEMS = 20  # a smaller part says nothing, and one that is the whole says nothing new
# Never a secondary outcome: mulfact_strict has hardly ever read 6*9= in the pieces of which this prompt consists.
DESCRIPTIVE = ("table_9_plain",)


def facts_of(facts: Any, largest: int = LARGEST_FACT) -> set[Fact]:
    """Return the facts in a cell of the predictions, with operands up to `largest`."""
    return {(int(first), int(second)) for first, second in facts if second <= largest}


def strata_of(row: Any) -> list[str]:
    """Return the strata that an item belongs to; none where its calculation is not known."""
    if row.facts is None or row.operations is None:
        return []
    return [FACTS if facts_of(row.facts) else NO_FACTS, *row.operations]


def members(run: Run, stage: str) -> dict[tuple[str, str], set[str]]:
    """Return {(task, stratum): its items} of the strata that are shown."""
    found: dict[tuple[str, str], set[str]] = {}
    items: dict[str, int] = {}
    for row in run.predictions[stage].itertuples():
        items[row.task] = items.get(row.task, 0) + 1
        for stratum in strata_of(row):
            found.setdefault((row.task, stratum), set()).add(row.item_id)
    return {place: ids for place, ids in found.items() if FEWEST_ITEMS <= len(ids) < items[place[0]]}


def with_strata(runs: Runs, primary_stage: str) -> dict[tuple[str, int], Run]:
    """Return the runs with each stratum as one more task: all at the primary stage, at others that of the facts."""
    shown = members(next(iter(runs.values())), primary_stage)
    extended = {}
    for key, run in runs.items():
        tables = {}
        for stage, table in run.predictions.items():
            parts = [table]
            for (task, stratum), ids in shown.items():
                if stage == primary_stage or stratum == FACTS:
                    rows = table[(table["task"] == task) & table["item_id"].isin(ids)]
                    parts.append(rows.assign(task=f"{task}_{stratum}"))
            tables[stage] = pd.concat(parts, ignore_index=True)
        extended[key] = replace(run, predictions=tables)
    return extended


def describe_strata(benchmarks: Mapping[str, Any], runs: Runs, primary_stage: str) -> dict[str, Any]:
    """Return the benchmarks' manifest with the strata that `runs` hold at the primary stage, each behind its task."""
    sizes = next(iter(runs.values())).predictions[primary_stage]["task"].value_counts()
    described: dict[str, Any] = {}
    for task, benchmark in benchmarks.items():
        described[task] = {**benchmark, "stratum_of": None}
        for stratum, what in STRATA.items():
            if (name := f"{task}_{stratum}") in sizes:
                described[name] = {
                    **benchmark,
                    "items": int(sizes[name]),
                    "description": f"{benchmark['description']}: {what}",
                    "stratum_of": task,
                }
    return described


def secondary_tasks(benchmarks: Mapping[str, Any]) -> set[str]:
    """Return what is a secondary outcome: every task that is not descriptive, and of the problems in GSM8K's form the
    fact-bearing part.
    """
    return {
        name
        for name, benchmark in benchmarks.items()
        if (benchmark["stratum_of"] is None and not is_descriptive(name, benchmark))
        or (benchmark["family"] == "gsm8k" and name == f"{benchmark['stratum_of']}_{FACTS}")
    }


def is_descriptive(name: str, benchmark: Mapping[str, Any]) -> bool:
    """Return whether a task is described and never tested: DESCRIPTIVE, and the optional probes of reasoning-gym."""
    return name in DESCRIPTIVE or str(benchmark["source"]).startswith(PACKAGE)


def primary_of(task: str, benchmarks: Mapping[str, Any]) -> str:
    """Return the primary task: of a synthetic set its fact-bearing part (docs/protocol.md)."""
    part = f"{task}_{FACTS}"
    return part if benchmarks[task]["source"] == "synthetic" and part in benchmarks else task
