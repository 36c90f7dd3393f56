"""The content of halves.json: the effect of having a token on every outcome, from the pairs of an arm.

    results = analyse(read_pairs(Path("outputs/smoke"), "mulfact", 8), Settings(10_000, 0, 0.95))

Bits and accuracy are tested at every point of the curve and in every prompt form, as one family a measure and kind of
fact; means over the curve and ends, the tokens until a fact is known and the dose are single tests beside them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from mulfact.evals.curves.halves import Effects, Pair, permutation_test, slope_test, unit_effects
from mulfact.evals.curves.pairs import UNTIL_KNOWN, CurvePair, counts_of, tasks_of, unit_of

SCHEMA_VERSION = 1
LEAST_DOSES = 3  # different frequencies, for a slope


@dataclass(frozen=True)
class Settings:
    """How many random halves the drawn ones are held against, the seed of these, and the level of the intervals."""

    permutations: int
    seed: int
    level: float

    def test(self, pairs: Sequence[Pair]) -> Effects:
        return permutation_test(pairs, self.permutations, self.seed, self.level)


def analyse(pairs: Sequence[CurvePair], settings: Settings) -> dict[str, Any]:
    """Return the content of halves.json, all of it but what names the experiment."""
    counts = counts_of(pairs)
    return {
        "schema_version": SCHEMA_VERSION,
        "pairs": [
            {"arms": pair.names, "units": len(pair.drawn), "units_of_first": sum(pair.drawn.values())} for pair in pairs
        ],
        "permutations": settings.permutations,
        "confidence_level": settings.level,
        "points": mean_points(pairs),
        "tasks": [
            {"task": task, "has_tokens": own, "forms": analyse_task(pairs, task, counts if own else None, settings)}
            for task, own in tasks_of(pairs).items()
        ],
    }


def mean_points(pairs: Sequence[CurvePair]) -> list[dict[str, int]]:
    """Return step and tokens of each point, and the bytes of text up to it, the mean over the runs."""
    runs = [curve.points for pair in pairs for curve in (pair.first, pair.second)]
    return [
        {**points[0], "bytes": round(float(np.mean([point["bytes"] for point in points])))}
        for points in zip(*runs, strict=True)
    ]


def analyse_task(
    pairs: Sequence[CurvePair], task: str, counts: Mapping[Any, float] | None, settings: Settings
) -> list[dict[str, Any]]:
    """Return the effects on one kind of fact by prompt form; `counts` are None where no token stands for them."""
    forms = [form for name, form in pairs[0].first.forms if name == task]
    results: list[dict[str, Any]] = [{"form": form} for form in forms]
    for measure in ("bits", "correct"):
        outcomes = [[pair.pair(measure, task, form) for pair in pairs] for form in forms]
        family = settings.test([side_by_side(of_pair) for of_pair in zip(*outcomes, strict=True)])
        columns = np.arange(len(family.effect)).reshape(len(forms), -1)
        for form, of_form, own, result in zip(forms, outcomes, columns, results, strict=True):
            levels = mean_levels(pairs, measure, task, form)
            result[measure] = {
                "points": [
                    told(family, column) | {name: float(values[place]) for name, values in levels.items()}
                    for place, column in enumerate(own)
                ],
                "whole_curve": single([reduced(pair, over_the_curve) for pair in of_form], settings),
                "end": single([reduced(pair, at_its_end) for pair in of_form], settings),
            }
            if measure == "bits":
                result["units"] = of_units(pairs, task, form, of_form, counts)
                result["dose"] = None if counts is None else dose(of_form, result["units"], settings)
    for form, result in zip(forms, results, strict=True):
        result["known"] = single([pair.pair(UNTIL_KNOWN, task, form) for pair in pairs], settings)
        result["known"]["never"] = never_known(pairs, task, form)
    return results


def side_by_side(forms: Sequence[Pair]) -> Pair:
    """Return one pair with the outcomes of all prompt forms."""
    return Pair(forms[0].drawn, np.concatenate([form.difference for form in forms], axis=1))


def reduced(pair: Pair, reduce: Any) -> Pair:
    """Return the pair with the outcomes, (units, k), that `reduce` makes of those at the points."""
    return Pair(pair.drawn, reduce(pair.difference))


def over_the_curve(difference: np.ndarray) -> np.ndarray:
    """Return the mean over the points, which are evenly spaced by the logarithm of tokens."""
    return difference.mean(axis=1, keepdims=True)


def at_its_end(difference: np.ndarray) -> np.ndarray:
    return difference[:, -1:]


def over_the_curve_and_at_its_end(difference: np.ndarray) -> np.ndarray:
    return np.concatenate([over_the_curve(difference), at_its_end(difference)], axis=1)


def told(effects: Effects, column: int) -> dict[str, Any]:
    """Return one outcome's effect and its test; an end of an interval that lies beyond all that was tried is null."""

    def ends(interval: np.ndarray) -> list[float | None]:
        return [float(end) if np.isfinite(end) else None for end in interval[:, column]]

    return {
        "effect": float(effects.effect[column]),
        "interval": ends(effects.interval),
        "band": ends(effects.band),
        "p_value": float(effects.p_value[column]),
        "p_adjusted": float(effects.p_adjusted[column]),
    }


def single(pairs: Sequence[Pair], settings: Settings) -> dict[str, Any]:
    """Return the test of a single outcome, with each pair's effect and the t interval of their mean.

    The permutation test is about these runs. What other seeds and other halves would give is the t interval's matter,
    and it needs several pairs.
    """
    effects = settings.test(pairs)
    by_pair = effects.by_pair[:, 0]
    over_pairs = None
    if len(by_pair) > 1:
        over_pairs = [float(end) for end in stats.ttest_1samp(by_pair, 0.0).confidence_interval(settings.level)]
    row = told(effects, 0)
    return {
        **{name: row[name] for name in ("effect", "interval", "p_value")},
        "by_pair": by_pair.tolist(),
        "interval_over_pairs": over_pairs,
    }


def mean_levels(pairs: Sequence[CurvePair], measure: str, task: str, form: str) -> dict[str, np.ndarray]:
    """Return the means at each point of the facts with and without a token; each run counts once in either."""
    means: dict[str, list[np.ndarray]] = {"with": [], "without": []}
    for pair in pairs:
        drawn = pair.pair(measure, task, form).drawn
        for table, owned in zip(pair.tables(measure, task, form), (drawn, ~drawn), strict=True):
            means["with"].append(table.to_numpy()[owned].mean(axis=0))
            means["without"].append(table.to_numpy()[~owned].mean(axis=0))
    return {name: np.mean(values, axis=0) for name, values in means.items()}


def of_units(
    pairs: Sequence[CurvePair], task: str, form: str, outcomes: Sequence[Pair], counts: Mapping[Any, float] | None
) -> list[dict[str, Any]]:
    """Return for each unit how often training text holds its token, and what the token changes, mean over the pairs."""
    units = pairs[0].tables("bits", task, form)[0].index
    effects = unit_effects([reduced(pair, over_the_curve_and_at_its_end) for pair in outcomes])
    return [
        {"unit": unit, "count": None if counts is None else counts[unit], "whole_curve": whole, "end": end}
        for unit, (whole, end) in zip(units, effects.tolist(), strict=True)
    ]


def dose(outcomes: Sequence[Pair], units: Sequence[Mapping[str, Any]], settings: Settings) -> dict[str, Any] | None:
    """Return how the effect changes where a fact is twice as frequent, over the curve and at its end."""
    frequency = np.log2([max(unit["count"], 1.0) for unit in units])
    if len(set(frequency)) < LEAST_DOSES:
        return None
    pairs = [reduced(pair, over_the_curve_and_at_its_end) for pair in outcomes]
    slopes, p_values = slope_test(pairs, frequency, settings.permutations, settings.seed)
    return {
        name: {"slope_per_doubling": float(slope), "p_value": float(p)}
        for name, slope, p in zip(("whole_curve", "end"), slopes, p_values, strict=True)
    }


def never_known(pairs: Sequence[CurvePair], task: str, form: str) -> dict[str, dict[str, int]]:
    """Return how many facts, over all runs, were not known at the end, with and without their token."""
    groups = {"with": {"facts": 0, "of": 0}, "without": {"facts": 0, "of": 0}}
    for pair in pairs:
        for curve, first in ((pair.first, True), (pair.second, False)):
            until = curve.until_known(task, form)
            for fact in (fact for fact in curve.facts if fact["task"] == task and unit_of(fact) in pair.drawn):
                group = groups["with" if pair.drawn[unit_of(fact)] == first else "without"]
                group["facts"] += bool(np.isnan(until[fact["unit"]]))
                group["of"] += 1
    return groups
