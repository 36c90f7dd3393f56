"""Declared controls: an arm with a declared difference in compute, and what an effect is worth in training by them.

A file of recipes/controls/ names the arm, the settings that differ, and the matched fields of the ledger that follow.
Nothing else may differ between a control and its arm. A control is never an arm: it is shown apart and tests nothing.
"""

from collections.abc import Mapping, Sequence
from math import exp, log, sqrt
from typing import Any

import numpy as np
from scipy import stats

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.estimates import matrix, units_of
from mulfact.evals.comparison.runs import Run, check_inputs, check_items, check_ledgers, check_recipes, neutral
from mulfact.evals.comparison.significance import estimate_difference

Runs = Mapping[tuple[str, int], Run]
Entry = dict[str, Any]
FURTHEST = 5.0  # logarithm of a factor of training beyond which nothing is said
MOST_TRAINING = exp(FURTHEST) - 1  # as a share: where an interval ends here, it has no end that means anything


def check_controls(arguments: CompareArguments, arms: Runs, controls: Runs) -> None:
    """Raise UserError where a control differs from its arm in more than it declares. `controls` are its runs."""
    for (name, seed), run in controls.items():
        declared = arguments.controls[name]
        arm = arms[declared["arm"], seed]
        settings = {f"pretrain.{key}" for key in declared["pretrain"]}
        inputs = {f"pretrain:{neutral(value, run)}" for value in declared["pretrain"].values()}
        check_ledgers(arm, run, {f"pretrain.{field}" for field in declared["differs"]})
        check_recipes(arm, run, settings)
        check_inputs(arm, run, inputs)
        check_items(arm, run)


def describe_controls(arguments: CompareArguments, arms: Runs, controls: Runs, tasks: Sequence[str]) -> dict[str, Any]:
    """Return each control with what it declares, its training as a multiple of its arm's, and its accuracy by task."""
    runs = {}
    for name, declared in arguments.controls.items():
        run, arm = controls[name, arguments.seeds[0]], arms[declared["arm"], arguments.seeds[0]]
        matched = [one.ledger["stages"]["pretrain"]["matched"] for one in (arm, run)]
        runs[name] = {
            "arm": declared["arm"],
            "settings": declared["pretrain"],
            "differs": {field: [fields.get(field) for fields in matched] for field in declared["differs"]},
            "training": training(run) / training(arm),
            "tasks": {task: against_arm(arguments, arms, controls, name, task) for task in tasks},
        }
    return {"runs": runs}


def against_arm(arguments: CompareArguments, arms: Runs, controls: Runs, name: str, task: str) -> Entry:
    """Return the accuracy of a control at the primary stage, with its difference to its arm."""
    stage = arguments.primary_stage
    arm = matrix(arms, arguments.controls[name]["arm"], arguments.seeds, stage, task, "correct")
    correct = matrix(controls, name, arguments.seeds, stage, task, "correct")
    units = units_of(arms, stage, task)
    estimate = estimate_difference(arm, correct, arguments.confidence_level, units=units)
    return {"mean": float(correct.mean()), "difference": estimate.mean, "interval": [estimate.low, estimate.high]}


def training(run: Run) -> float:
    """Return the positions that pretraining read."""
    return float(run.ledger["stages"]["pretrain"]["matched"]["positions"])


def fill_equivalents(entries: Sequence[Entry], arguments: CompareArguments, arms: Runs, controls: Runs) -> None:
    """Fill in `equivalent_compute` of differences to the reference: how much more training of it is worth as much."""
    chosen = [name for name, declared in arguments.controls.items() if declared["arm"] == arguments.reference]
    if not chosen:
        return
    slopes: dict[tuple[str, str], tuple[float, float, int] | None] = {}
    reference = training(arms[arguments.reference, arguments.seeds[0]])
    ratios = {name: training(controls[name, arguments.seeds[0]]) / reference for name in chosen}
    for entry in entries:
        place = entry["stage"], entry["task"]
        if place not in slopes:
            points = [(1.0, matrix(arms, arguments.reference, arguments.seeds, *place, "correct").mean(axis=1))]
            points += [
                (ratio, matrix(controls, name, arguments.seeds, *place, "correct").mean(axis=1))
                for name, ratio in ratios.items()
            ]
            slopes[place] = slope_of(points)
        entry["equivalent_compute"] = equivalent(entry, slopes[place], arguments.confidence_level, ratios.values())


def slope_of(points: Sequence[tuple[float, np.ndarray]]) -> tuple[float, float, int] | None:
    """Return accuracy by the logarithm of training: slope, standard error, degrees of freedom; by least squares.

    `points` are multiples of the reference's training, each with the accuracy of every seed. None without a spread.
    """
    x = np.concatenate([np.full(len(values), log(ratio)) for ratio, values in points])
    y = np.concatenate([values for _, values in points])
    if np.ptp(x) == 0 or len(x) < 3:
        return None
    line = stats.linregress(x, y)
    return float(line.slope), float(line.stderr), len(x) - 2


def equivalent(
    entry: Entry, slope: tuple[float, float, int] | None, level: float, ratios: Any
) -> dict[str, Any] | None:
    """Return the share of training that a difference is worth, with Fieller's interval of the quotient.

    None where more training is not shown to raise the accuracy (E. C. Fieller, J. Royal Statistical Society B 16, 1954,
    has no bounded interval there). The difference and the slope share the reference's seeds, which is left out.
    """
    if slope is None:
        return None
    rise, error, freedom = slope
    bound = float(stats.t.ppf((1 + level) / 2, freedom))
    least = rise**2 - (bound * error) ** 2
    if rise <= 0 or least <= 0:
        return None
    difference, own = entry["difference"], bound * entry["standard_error"]
    root = sqrt(max((difference * rise) ** 2 - least * (difference**2 - own**2), 0.0))
    low, quotient, high = (
        exp(float(np.clip(value, -FURTHEST, FURTHEST))) - 1
        for value in ((difference * rise - root) / least, difference / rise, (difference * rise + root) / least)
    )
    spanned = [0.0, *(ratio - 1 for ratio in ratios)]
    extrapolated = not min(spanned) <= quotient <= max(spanned)
    return {"share": quotient, "interval": [low, high], "extrapolated": extrapolated}
