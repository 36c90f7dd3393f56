"""Secondary measures: the items that call for a fact, how facts are used, and measures other than accuracy."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mulfact.data_builders.problems.prompts import ANNOTATION
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.estimates import estimate_mean, matrix, tasks_of
from mulfact.evals.comparison.outcomes import BITS_PER_BYTE, products
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.evals.comparison.significance import seed_mean
from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.rewrite import Rewriter

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]
Fact = tuple[int, int]  # operands in ascending order
CalledFor = dict[str, dict[str, set[Fact]]]  # task -> item id -> facts
STRATUM = "{task}_facts"  # the items of a task whose solution uses a fact of 1-9


def called_for(benchmarks_dir: Path, tasks: Mapping[str, Any], largest: int = 9) -> CalledFor:
    """Return for each task {item id: the facts that its operands, or else its solution's annotations, hold}.

    `largest`: operand of a fact; up to 9 the facts are those by which strata are chosen, the same in every arm.
    Items without operands and without a solution are left out, and so are tasks that hold nothing else.
    """
    rewriter = Rewriter(FactSettings(mode="weak", max_operand=largest))
    facts: dict[str, dict[str, set[Fact]]] = {}
    for task in tasks:
        for _, row in read_jsonl(benchmarks_dir / f"{task}.jsonl"):
            if row.get("operands"):
                found = {ordered(row["operands"])} if max(row["operands"]) <= largest else set()
            elif row.get("solution"):
                annotations = ANNOTATION.finditer(row["solution"])
                matches = [match for note in annotations for match in rewriter.matches(note.group())]
                found = {ordered(match.fact.operands) for match in matches if match.fact.operands}
            else:
                continue
            facts.setdefault(task, {})[row["id"]] = found
    return facts


def ordered(operands: Any) -> Fact:
    first, second = sorted(operands)
    return int(first), int(second)


def with_strata(runs: Runs, facts: Mapping[str, Mapping[str, set[Fact]]], family: str) -> dict[tuple[str, int], Run]:
    """Return the runs with, for each task of `family`, its items that call for a fact as one more task."""
    extended = {}
    for key, run in runs.items():
        tables = {}
        for stage, table in run.predictions.items():
            parts = []
            for task, rows in table.groupby("task", sort=False):
                members = {item for item, found in facts.get(str(task), {}).items() if found}
                stratum = rows[rows["item_id"].isin(members) & (rows["family"] == family)]
                parts += [rows, stratum.assign(task=STRATUM.format(task=task))]
            tables[stage] = pd.concat(parts, ignore_index=True)
        extended[key] = replace(run, predictions=tables)
    return extended


def describe_strata(benchmarks: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Return the benchmarks' manifest with the strata that `runs` hold."""
    described = dict(benchmarks)
    table = next(iter(runs.values())).predictions[stages_of(runs)[-1]]
    for task, benchmark in benchmarks.items():
        items = int((table["task"] == STRATUM.format(task=task)).sum())
        if items:
            description = f"{benchmark['description']}: items whose solution uses a fact of 1-9"
            described[STRATUM.format(task=task)] = {**benchmark, "items": items, "description": description}
    return described


def fact_use(runs: Runs, called_up_to: Callable[[int], CalledFor]) -> list[Entry]:
    """Return how each arm used its added tokens, by stage and task, over seeds; arms that generated none are left out.

    `called_up_to`: `called_for` by the largest operand of an arm's facts. `right`: the share of the generated facts
    that the item calls for; None where that is not known, and for tokens that stand for no product.
    """
    entries = []
    for condition in dict.fromkeys(condition for condition, _ in runs):
        group = [run for (name, _), run in runs.items() if name == condition]
        operands = {name: ordered(pair) for name, pair in products(group[0]).items()}
        facts = called_up_to(max(9, *(second for _, second in operands.values()))) if operands else {}
        for stage in stages_of(runs):
            tables = pd.concat([run.predictions[stage] for run in group])
            for task, table in tables.groupby("task", sort=False):
                used = table[table["fact_tokens"].map(len) > 0]
                if used.empty:
                    continue
                known = facts.get(str(task), {})
                verdicts = [
                    operands[name] in known[item]
                    for item, names in zip(used["item_id"], used["fact_tokens"], strict=True)
                    for name in (names if item in known else [])
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


def phrasings(runs: Runs) -> list[Entry]:
    """Return the accuracy on the 1-9 table by phrasing, of each arm and stage over seeds.

    A strict tokenizer splits the plain prompt 6*9= as it never was split in training text, so phrasings may differ.
    """
    entries = []
    for condition in dict.fromkeys(condition for condition, _ in runs):
        group = [run for (name, _), run in runs.items() if name == condition]
        for stage in stages_of(runs):
            table = pd.concat([run.predictions[stage] for run in group])
            items = table[table["task"] == "table_9"]
            for name, rows in items.groupby(items["item_id"].str.rpartition("-")[2], sort=True):
                accuracy = float(rows["correct"].mean())
                entries.append({"condition": condition, "stage": stage, "phrasing": name, "accuracy": accuracy})
    return entries


def measures(arguments: CompareArguments, runs: Runs, curves: list[Entry]) -> list[Entry]:
    """Return measures other than accuracy by arm, with the paired difference to the reference and its interval.

    Bits per byte have one value a seed: Student's interval, none with one seed. The others are paired by item as well,
    and told of each stratum that `runs` hold as a task of its own.
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
            entries += paired(arguments, name, arguments.primary_stage, task, by_arm)
    return entries


def spelling(arguments: CompareArguments, measured: list[Entry]) -> list[Entry]:
    """Return each arm's gap in validation loss on text as spelled, on canonical text, and on that without facts.

    `share`: of the first gap, what is gone on canonical text. It can be negative: an arm that learned many spellings
    pays on canonical text for choosing the one, so spelling is out of the last gap alone, and out of the gap between
    two arms that rewrite alike.
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
            free = gaps.get(("canonical_bits_per_byte_fact_free", condition))
            entry = {"condition": condition, "gap": raw, "canonical_gap": canonical, "fact_free_gap": free}
            entries.append(entry | {"share": share})
    return entries


def paired(
    arguments: CompareArguments, name: str, stage: str, task: str, by_arm: Mapping[str, np.ndarray]
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
            change = values - by_arm[arguments.reference]
            entry["difference"] = float(change.mean())
            entry["interval"] = change_interval(change, arguments)
        entries.append(entry)
    return entries


def change_interval(change: np.ndarray, arguments: CompareArguments) -> list[float] | None:
    """Return the interval of a mean change; None where nothing varies from which it could be estimated."""
    if change.shape[1] == 1:
        estimate = seed_mean(change[:, 0], arguments.confidence_level)
    else:
        estimate = None if np.ptp(change) == 0 else estimate_mean(change, arguments)
    return None if estimate is None else [estimate.low, estimate.high]
