"""Accuracies and paired differences of the runs, with intervals, tests and what could have been detected."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.outcomes import fact_tokens
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.evals.comparison.significance import (
    Estimate,
    detectable_effect,
    exact_mcnemar,
    hierarchical_bootstrap,
    holm,
    variance_components,
)

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]


def matrix(runs: Runs, condition: str, seeds: Sequence[int], stage: str, task: str, column: str) -> np.ndarray:
    """Return a column of the predictions as seeds x items, the items in the order of their ids."""
    rows = []
    for seed in seeds:
        table = runs[condition, seed].predictions[stage]
        answers = table.loc[table["task"] == task, ["item_id", column]]  # the other columns hold long texts
        rows.append(answers.sort_values("item_id")[column].to_numpy(dtype=float))
    return np.stack(rows)


def estimate_mean(values: np.ndarray, arguments: CompareArguments) -> Estimate:
    """Return the mean of a seeds x items matrix with its interval; the same draws every time."""
    return hierarchical_bootstrap(
        values, arguments.bootstrap_samples, arguments.confidence_level, np.random.default_rng(0)
    )


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
    def mean(column: str) -> float:
        return float(matrix(runs, condition, arguments.seeds, stage, task, column).mean())

    correct = matrix(runs, condition, arguments.seeds, stage, task, "correct")
    bits = matrix(runs, condition, arguments.seeds, stage, task, "gold_bits_per_character")
    estimate, by_seed = estimate_mean(correct, arguments), correct.mean(axis=1)
    return {
        "items": correct.shape[1],
        "seeds": {str(seed): float(value) for seed, value in zip(arguments.seeds, by_seed, strict=True)},
        "mean": estimate.mean,
        "sd": float(by_seed.std(ddof=1)) if len(by_seed) > 1 else None,
        "interval": [max(estimate.low, 0.0), min(estimate.high, 1.0)],
        "strict": mean("correct_strict"),
        "flexible": mean("correct_flexible"),
        "truncated": mean("truncated"),
        "generated_tokens": mean("generated_tokens"),
        "fact_tokens": mean("fact_token_count"),
        "gold_bits_per_character": None if np.isnan(bits).all() else float(np.nanmean(bits)),
    }


def differences(arguments: CompareArguments, runs: Runs) -> list[Entry]:
    """Return the paired differences of all arms against the reference, corrected by Holm where the protocol decides."""
    entries = [
        difference(arguments, runs, condition, arguments.reference, stage, task)
        for stage in stages_of(runs)
        for task in tasks_of(runs, stage)
        for condition in arguments.treatments
    ]
    correct_families(entries)
    return entries


def contrasts(arguments: CompareArguments, runs: Runs) -> list[Entry]:
    """Return the primary outcome of the first treatment against the other treatments: what is due to its own tokens.

    `control` says whether the other arm has added tokens of which none stands for a fact.
    """
    treatment, *others = arguments.treatments
    stage, task = arguments.primary_stage, arguments.primary_task
    entries = []
    for other in others:
        tokens = fact_tokens(runs[other, arguments.seeds[0]]).values()
        control = bool(tokens) and all(token["operands"] is None for token in tokens)
        entry = difference(arguments, runs, treatment, other, stage, task)
        entries.append(entry | {"role": "secondary", "control": control})
    correct_families(entries)
    return entries


def difference(arguments: CompareArguments, runs: Runs, condition: str, reference: str, stage: str, task: str) -> Entry:
    """Return the accuracy of `condition` minus that of `reference`, paired by seed and item."""
    first = matrix(runs, reference, arguments.seeds, stage, task, "correct")
    second = matrix(runs, condition, arguments.seeds, stage, task, "correct")
    estimate, components = estimate_mean(second - first, arguments), variance_components(second - first)
    primary = (task, stage) == (arguments.primary_task, arguments.primary_stage)
    seeds = [str(seed) for seed in arguments.seeds]
    return {
        "condition": condition,
        "reference": reference,
        "stage": stage,
        "task": task,
        "family": tasks_of(runs, stage)[task],
        "role": "primary" if primary else "secondary" if stage == arguments.primary_stage else "descriptive",
        "primary": primary,
        "items": first.shape[1],
        "difference": estimate.mean,
        "interval": [max(estimate.low, -1.0), min(estimate.high, 1.0)],
        "p_value": estimate.p_value,
        "p_holm": None,
        "minimum_detectable_effect": detectable_effect(components, 1 - arguments.confidence_level),
        "standard_error": estimate.standard_error,
        "seed_sd": components.seed_variance**0.5 if len(seeds) > 1 else None,
        "seeds": dict(zip(seeds, (second - first).mean(axis=1).tolist(), strict=True)),
        "mcnemar": {
            seed: mcnemar_table(*verdicts)
            for seed, verdicts in zip(seeds, zip(first, second, strict=True), strict=True)
        },
    }


def mcnemar_table(reference: np.ndarray, condition: np.ndarray) -> Entry:
    """Return McNemar's table and p-value with the arms by their roles."""
    test = asdict(exact_mcnemar(reference, condition))
    return {"only_reference": test.pop("first_only"), "only_condition": test.pop("second_only"), **test}


def correct_families(entries: list[Entry]) -> None:
    """Fill in p_holm: the primary outcome over all arms is one family, each kind of secondary outcome another."""
    families: dict[tuple[str, ...], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry["role"] != "descriptive":
            families[entry["role"], "" if entry["role"] == "primary" else entry["family"]].append(entry)
    for family in families.values():
        for entry, p_value in zip(family, holm([entry["p_value"] for entry in family]), strict=True):
            entry["p_holm"] = p_value
