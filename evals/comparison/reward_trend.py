"""Whether the reward of GRPO rose over a run, and whether the run stayed stable: described, not decided."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import linregress

FEWEST_STEPS = 6  # two in each third; a shorter run has no trend

Points = Sequence[Mapping[str, Any]]


def reward_trends(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the trend of each run of `curves.grpo`, and its largest KL and repetition of a step."""
    return [
        {
            "condition": curve["condition"],
            "seed": curve["seed"],
            **trend(curve["points"]),
            "largest_kl": largest(curve["points"], "kl"),
            "largest_repetition": largest(curve["points"], "repetition"),
        }
        for curve in curves
    ]


def trend(points: Points) -> dict[str, float | None]:
    """Return the mean reward of the first and the last third of the steps, and the line through all of them.

    `slope` is per step, by least squares; `p_value` is its two-sided t-test, which takes the steps as independent, as
    their prompts are. All are None where the reward was logged in fewer steps than FEWEST_STEPS.
    """
    logged = np.array([(point["step"], point["reward"]) for point in points if point["reward"] is not None])
    if len(logged) < FEWEST_STEPS:
        return dict.fromkeys(("first_third", "last_third", "slope", "p_value"))
    steps, rewards = logged.T
    third = len(rewards) // 3
    line = linregress(steps, rewards)
    return {
        "first_third": float(rewards[:third].mean()),
        "last_third": float(rewards[-third:].mean()),
        "slope": float(line.slope),
        "p_value": float(line.pvalue),
    }


def by_arm(trends: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float | None]]:
    """Return {condition: how the reward went in its runs}, of the runs that have a trend.

    `rose` counts the slopes above zero among `runs`, `clearly` those of them with p below 0.05.
    """
    table: dict[str, dict[str, float | None]] = {}
    for arm in dict.fromkeys(trend["condition"] for trend in trends):
        runs = [trend for trend in trends if trend["condition"] == arm and trend["slope"] is not None]
        if not runs:
            continue
        p_values = [run["p_value"] for run in runs if run["slope"] > 0]
        table[arm] = {
            "runs": len(runs),
            "rose": len(p_values),
            "clearly": sum(p < 0.05 for p in p_values),
            **{field: float(np.mean([run[field] for run in runs])) for field in ("first_third", "last_third")},
            **{field: largest(runs, field) for field in ("largest_kl", "largest_repetition")},
        }
    return table


def largest(points: Points, field: str) -> float | None:
    """Return the largest value of a field over the points; None where none has it."""
    return max((point[field] for point in points if point[field] is not None), default=None)
