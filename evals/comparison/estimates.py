"""Accuracies and differences of the runs, with intervals, tests and what could have been detected."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.evals.comparison.significance import (
    detectable,
    estimate_difference,
    estimate_mean,
    exact_mcnemar,
    holm,
    seeds_correlate,
)

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]
Limits = Mapping[tuple[str, str], str]
MEANS = {  # of an arm's accuracy: the columns of the predictions that they are means of
    "strict": "correct_strict",
    "flexible": "correct_flexible",
    "truncated": "truncated",
    "generated_tokens": "generated_tokens",
    "fact_tokens": "fact_token_count",
}


def matrix(runs: Runs, condition: str, seeds: Sequence[int], stage: str, task: str, column: str) -> np.ndarray:
    """Return a column of the predictions as seeds x items, the items in the order of their ids."""
    return matrices(runs, condition, seeds, stage, task, [column])[column]


def matrices(
    runs: Runs, condition: str, seeds: Sequence[int], stage: str, task: str, columns: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return several columns of the predictions, each as seeds x items in the order of the items' ids."""
    rows = []
    for seed in seeds:
        table = runs[condition, seed].predictions[stage]
        answers = table.loc[table["task"] == task, ["item_id", *columns]]  # the other columns hold long texts
        rows.append(answers.sort_values("item_id"))
    return {column: np.stack([answers[column].to_numpy(dtype=float) for answers in rows]) for column in columns}


def units_of(runs: Runs, stage: str, task: str) -> list[str]:
    """Return what each item of a task, in the order of their ids, is an item of: the fact that it asks for, or itself.

    6*9 and 9*6 are one fact, and not two that were asked independently.
    """
    table = next(iter(runs.values())).predictions[stage]
    items = table.loc[table["task"] == task, ["item_id", "operands"]].sort_values("item_id")
    return [
        item if operands is None else "{}x{}".format(*sorted(operands))
        for item, operands in items.itertuples(index=False)
    ]


def tasks_of(runs: Runs, stage: str) -> dict[str, str]:
    """Return the tasks of a stage and their families."""
    table = next(iter(runs.values())).predictions[stage]
    return dict(table[["task", "family"]].drop_duplicates().itertuples(index=False))


def accuracies(arguments: CompareArguments, runs: Runs) -> list[Entry]:
    """Return accuracy by arm, stage and task: for each seed, mean, standard deviation over seeds, interval."""
    return [
        {"condition": condition, "stage": stage, "task": task, "family": family}
        | accuracy(arguments, runs, condition, stage, task)
        for stage in stages_of(runs)
        for task, family in tasks_of(runs, stage).items()
        for condition in arguments.conditions
    ]


def accuracy(arguments: CompareArguments, runs: Runs, condition: str, stage: str, task: str) -> Entry:
    columns = ["correct", "gold_bits_per_character", *MEANS.values()]
    found = matrices(runs, condition, arguments.seeds, stage, task, columns)
    correct, bits = found["correct"], found["gold_bits_per_character"]
    estimate = estimate_mean(correct, arguments.confidence_level, units_of(runs, stage, task))
    by_seed = correct.mean(axis=1)
    return {
        "items": correct.shape[1],
        "seeds": {str(seed): float(value) for seed, value in zip(arguments.seeds, by_seed, strict=True)},
        "mean": estimate.mean,
        "sd": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "interval": [max(estimate.low, 0.0), min(estimate.high, 1.0)],
        **{name: float(found[column].mean()) for name, column in MEANS.items()},
        "gold_bits_per_character": None if np.isnan(bits).all() else float(np.nanmean(bits)),
    }


def differences(arguments: CompareArguments, runs: Runs, limits: Limits, secondary: Collection[str]) -> list[Entry]:
    """Return the differences of all arms against the reference, their p-values not yet adjusted.

    `secondary`: the tasks that are secondary outcomes at the primary stage.
    """
    entries = []
    for stage in stages_of(runs):
        for task in tasks_of(runs, stage):
            outcome = Outcome(arguments, runs, stage, task, limits.get((stage, task)))
            second = task in secondary and stage == arguments.primary_stage
            entries += [outcome.difference(arm, arguments.reference, second) for arm in arguments.treatments]
    return entries


def contrasts(arguments: CompareArguments, runs: Runs, limits: Limits) -> list[Entry]:
    """Return the primary outcome of the tested arm against the others of the fixed sequence, in its order."""
    stage, task = arguments.primary_stage, arguments.primary_task
    outcome = Outcome(arguments, runs, stage, task, limits.get((stage, task)))
    return [outcome.difference(arguments.tested, arm) | {"role": "attribution"} for arm in arguments.attributed]


class Outcome:
    """The right and wrong items of every arm on one task after one stage, read once."""

    def __init__(self, arguments: CompareArguments, runs: Runs, stage: str, task: str, limit: str | None) -> None:
        self.arguments, self.stage, self.task, self.limit = arguments, stage, task, limit
        self.family = tasks_of(runs, stage)[task]
        self.correct = {arm: matrix(runs, arm, arguments.seeds, stage, task, "correct") for arm in arguments.conditions}
        self.units = units_of(runs, stage, task)
        self.pair_seeds = seeds_correlate([correct.mean(axis=1) for correct in self.correct.values()])

    def role(self, condition: str, secondary: bool) -> str:
        """Return what the protocol makes of an arm's difference to the reference."""
        tested = condition == self.arguments.tested
        if (self.task, self.stage) == (self.arguments.primary_task, self.arguments.primary_stage):
            return "primary" if tested else "variant"
        return "secondary" if tested and secondary else "descriptive"

    def difference(self, condition: str, reference: str, secondary: bool = False) -> Entry:
        """Return the accuracy of `condition` minus that of `reference`; `secondary`: as a secondary outcome."""
        first, second = self.correct[reference], self.correct[condition]
        estimate = estimate_difference(first, second, self.arguments.confidence_level, self.pair_seeds, self.units)
        smallest = [min(effect, 1.0) for effect in detectable(estimate.variance, self.arguments.confidence_level)]
        seeds, role = [str(seed) for seed in self.arguments.seeds], self.role(condition, secondary)
        return {
            "condition": condition,
            "reference": reference,
            "stage": self.stage,
            "task": self.task,
            "family": self.family,
            "role": role,
            "primary": role in ("primary", "variant"),
            "items": first.shape[1],
            "difference": estimate.mean,
            "interval": [max(estimate.low, -1.0), min(estimate.high, 1.0)],
            "p_value": estimate.p_value,
            "p_adjusted": None,
            "limit": self.limit,
            "equivalent_compute": None,
            "seeds_paired": self.pair_seeds,
            "detectable": smallest[0],
            "detectable_range": smallest[1:],
            "standard_error": estimate.variance.standard_error,
            "seed_sd": estimate.variance.seed_variance**0.5 if len(seeds) > 1 else None,
            "seeds": dict(zip(seeds, (second - first).mean(axis=1).tolist(), strict=True)),
            "mcnemar": {
                seed: mcnemar_table(*verdicts, self.units)
                for seed, verdicts in zip(seeds, zip(first, second, strict=True), strict=True)
            },
        }


def mcnemar_table(reference: np.ndarray, condition: np.ndarray, units: Sequence[str]) -> Entry:
    """Return McNemar's table and p-value with the arms by their roles."""
    test = asdict(exact_mcnemar(reference, condition, units))
    return {"only_reference": test.pop("first_only"), "only_condition": test.pop("second_only"), **test}


def adjust(differences: list[Entry], contrasts: list[Entry]) -> None:
    """Fill in p_adjusted: that of the fixed sequence, of the variants behind it, and of each family of secondaries.

    In a fixed sequence a step counts only where all before it did, so its p-value is the largest one up to it (Westfall
    and Krishen, J. Statistical Planning and Inference 99, 2001). Variants are a family for Holm behind its last step.
    """
    reached = 0.0
    for entry in [*(entry for entry in differences if entry["role"] == "primary"), *contrasts]:
        reached = entry["p_adjusted"] = max(reached, entry["p_value"])
    families: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in differences:
        if entry["role"] in ("variant", "secondary"):
            families[entry["role"], entry["family"]].append(entry)
    for (role, _), family in families.items():
        for entry, p_value in zip(family, holm([entry["p_value"] for entry in family]), strict=True):
            entry["p_adjusted"] = max(p_value, reached) if role == "variant" else p_value


def limits_of(
    accuracies: Sequence[Entry], constants: Mapping[str, Mapping[str, float]], ceiling: float
) -> dict[tuple[str, str], str]:
    """Return {(stage, task): "floor" or "ceiling"} of the outcomes that cannot tell arms apart.

    Floor: no arm is better than the best constant answer. Ceiling: every arm is above `ceiling`.
    """
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    for entry in accuracies:
        means[entry["stage"], entry["task"]].append(entry["mean"])
    found = {}
    for (stage, task), values in means.items():
        if max(values) <= max(constants[task].values()):
            found[stage, task] = "floor"
        elif min(values) > ceiling:
            found[stage, task] = "ceiling"
    return found
