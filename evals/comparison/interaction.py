"""Products against sums: is what an arm gains on the facts that it has tokens for more than what it gains on others?

interactions(arguments, runs, limits)     # entries of results.json; docs/results_schema.md describes them

An arm with tokens for sums is handled as one with tokens for products is. If tokens help with the facts that they stand
for, each of the two is ahead of the other where its own facts are asked. What both do to all arithmetic cancels out.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.estimates import matrix, tasks_of, units_of
from mulfact.evals.comparison.runs import Run, stages_of
from mulfact.evals.comparison.significance import estimate_difference
from mulfact.layout import output_of
from mulfact.tokenizers.facts import read_facts

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]
SUMS_OF = {
    "table_9": "sums_9",
    "product_of": "sum_of",
}  # products -> sums asked in the same words, of the same operands


def interactions(arguments: CompareArguments, runs: Runs, limits: Mapping[tuple[str, str], str]) -> list[Entry]:
    """Return the tested arm's lead on products minus its lead on sums, over each arm of sums, by stage and phrasing.

    Empty where the tested arm has no tokens for products, or no arm has any for sums.
    """
    arms = {arm: operation_of(runs[arm, arguments.seeds[0]]) for arm in arguments.conditions}
    others = [arm for arm, operation in arms.items() if operation == "add"]
    if arms[arguments.tested] != "multiply":
        return []
    return [
        interaction(arguments, runs, other, stage, products, sums)
        | {"limits": {task: limits[stage, task] for task in (products, sums) if (stage, task) in limits}}
        for stage in stages_of(runs)
        for products, sums in SUMS_OF.items()
        if {products, sums} <= tasks_of(runs, stage).keys()
        for other in others
    ]


def operation_of(run: Run) -> str | None:
    """Return what the fact tokens of a run's arm calculate, None for an arm that has none."""
    facts = read_facts(output_of(run.folder, run.stages[-1]))
    return facts.settings.operation if facts.fact_tokens and facts.settings.calculates else None


def interaction(arguments: CompareArguments, runs: Runs, other: str, stage: str, products: str, sums: str) -> Entry:
    """Return the interaction in one phrasing. An item is a pair of operands, right as product minus right as sum."""

    def answers(condition: str) -> dict[str, np.ndarray]:
        return {task: matrix(runs, condition, arguments.seeds, stage, task, "correct") for task in (products, sums)}

    tested, others = answers(arguments.tested), answers(other)
    first, second = others[products] - others[sums], tested[products] - tested[sums]
    estimate = estimate_difference(first, second, arguments.confidence_level, units=units_of(runs, stage, products))
    return {
        "condition": arguments.tested,
        "reference": other,
        "stage": stage,
        "products": products,
        "sums": sums,
        "items": second.shape[1],
        "accuracy": {arguments.tested: means(tested), other: means(others)},
        "difference": estimate.mean,
        "interval": [max(estimate.low, -2.0), min(estimate.high, 2.0)],
        "standard_error": estimate.variance.standard_error,
        "seeds": dict(zip(map(str, arguments.seeds), (second - first).mean(axis=1).tolist(), strict=True)),
    }


def means(answers: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {task: float(correct.mean()) for task, correct in answers.items()}
