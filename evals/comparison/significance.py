"""How sure a difference is: intervals, tests, power. Everything here takes plain arrays and knows no arm.

    python -c "from mulfact.evals.comparison.significance import *; print(planned_effect(0.04, items=1319, seeds=5))"

Outcomes of an arm are a matrix of shape (seeds, items). Items are always paired between arms. docs/protocol.md says
which of these procedures decides what; why seeds are treated as they are is simulated in benchmarks/analysis_rules.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from statsmodels.stats.multitest import multipletests

Matrix = NDArray[np.float64]
Units = Sequence[str] | None
POWER = 0.8
QUANTILES = 50  # of a chi-square, to average over it
NOTHING = 1e-12  # a standard error or a mean that is zero but for rounding


@dataclass(frozen=True)
class Variance:
    """Of a mean over seeds and items, or of the difference of two such means."""

    arms: int  # that the seeds' part is a sum of: one for a mean and for paired seeds
    seeds: int
    items: int  # or units of them that are independent (`by_unit`)
    of_seeds: float  # part that seeds make, with the noise of their items; 0 with one seed
    of_items: float  # part that items make in every seed alike; with one seed, all of it
    seed_variance: float  # of one seed's mean or difference, the items' noise taken out; 0 with one seed
    degrees_of_freedom: float

    @property
    def standard_error(self) -> float:
        return sqrt(self.of_seeds + self.of_items)


@dataclass(frozen=True)
class Estimate:
    """A mean or difference with its interval; `p_value` is two-sided, against zero."""

    mean: float
    low: float
    high: float
    p_value: float
    variance: Variance


def estimate_mean(values: ArrayLike, level: float, units: Units = None) -> Estimate:
    """Return the mean of a (seeds, items) matrix with its interval. `units` as in `by_unit`."""
    matrix = by_unit(values, units)
    return estimate(float(np.asarray(values).mean()), variance_of([matrix]), level)


def estimate_difference(
    first: ArrayLike, second: ArrayLike, level: float, pair_seeds: bool = False, units: Units = None
) -> Estimate:
    """Return the mean of `second` minus that of `first`, (seeds, items) of two arms, with its interval.

    `pair_seeds`: whether seed k of one arm shares its luck with seed k of the other (`seeds_correlate`). `units` as in
    `by_unit`.
    """
    one, two = (by_unit(values, units) for values in (first, second))
    variance = variance_of([two - one]) if pair_seeds else variance_of([one, two])
    return estimate(float(np.asarray(second).mean() - np.asarray(first).mean()), variance, level)


def by_unit(values: ArrayLike, units: Units) -> Matrix:
    """Return a (seeds, items) matrix as (seeds, units). `units`: of each item what it shares with those it hangs on.

    6*9 and 9*6 are two items of one fact. A unit counts by how far its items, added up, are off the seed's mean, which
    gives a mean over units that is the one over items, with the variance of clusters (Liang and Zeger, Biometrika 73,
    1986). None: every item is a unit of its own.
    """
    matrix = np.atleast_2d(np.asarray(values, dtype=np.float64))
    codes = codes_of(units, matrix.shape[1])
    count = int(codes.max()) + 1
    if count == len(codes):
        return matrix
    means = matrix.mean(axis=1, keepdims=True)
    together = [np.bincount(codes, row, count) for row in matrix - means]
    return means + np.array(together) * (count / len(codes))


def codes_of(units: Units, items: int) -> NDArray[np.intp]:
    """Return the unit of each item as a number from 0."""
    return np.arange(items) if units is None else np.unique(np.asarray(units), return_inverse=True)[1]


def variance_of(arms: Sequence[Matrix]) -> Variance:
    """Return the variance of the mean of one (seeds, items) matrix, or of the difference between the means of two.

    Items are paired: an item counts by the difference of its means over seeds. Seeds are not: each arm has a variance
    of its own between them, and the degrees of freedom are Welch's and Satterthwaite's (Biometrika 34, 1947; Biometrics
    Bulletin 2, 1946); of one matrix they are seeds - 1. The items' noise is part of the variance between seeds; what
    items make beyond that, alike in every seed, comes in addition, by the method of moments.
    """
    seeds, items = arms[0].shape
    by_item = arms[-1].mean(axis=0) - (arms[0].mean(axis=0) if len(arms) > 1 else 0.0)
    item_freedom = max(items - 1, 1)
    all_of_items = float(np.sum((by_item - by_item.mean()) ** 2)) / item_freedom / items
    if seeds == 1:
        return Variance(len(arms), 1, items, 0.0, all_of_items, 0.0, item_freedom)
    of_seeds = [float(arm.mean(axis=1).var(ddof=1)) / seeds for arm in arms]
    noise = [residual_variance(arm) / seeds for arm in arms]
    of_items = max(all_of_items - sum(noise), 0.0)
    squares = sum(part**2 for part in of_seeds) / (seeds - 1) + of_items**2 / item_freedom
    freedom = seeds - 1.0 if len(arms) == 1 or squares == 0 else (sum(of_seeds) + of_items) ** 2 / squares
    seed_variance = seeds * sum(max(part - own, 0.0) for part, own in zip(of_seeds, noise, strict=True))
    return Variance(len(arms), seeds, items, sum(of_seeds), of_items, seed_variance, freedom)


def residual_variance(matrix: Matrix) -> float:
    """Return the variance of one seed's mean that the items make beyond what they make in every seed alike."""
    seeds, items = matrix.shape
    rest = matrix - matrix.mean(axis=1, keepdims=True) - matrix.mean(axis=0) + matrix.mean()
    return float(np.sum(rest**2)) / ((seeds - 1) * max(items - 1, 1)) / items


def seeds_correlate(by_seed: ArrayLike, alpha: float = 0.05) -> bool:
    """Return whether seeds are significantly better or worse than each other in all arms together.

    `by_seed` is (arms, seeds); the F test of a two-way analysis of variance. False with one seed or one arm.
    """
    values = np.asarray(by_seed, dtype=np.float64)
    arms, seeds = values.shape
    if arms < 2 or seeds < 2:
        return False
    seed_square = arms * values.mean(axis=0).var(ddof=1)
    rest = (values.var(axis=1, ddof=1).sum() - seed_square) / (arms - 1)
    if seed_square < NOTHING**2:
        return False
    if rest <= NOTHING * seed_square:
        return True
    return bool(stats.f.sf(seed_square / rest, seeds - 1, (arms - 1) * (seeds - 1)) < alpha)


def estimate(mean: float, variance: Variance, level: float) -> Estimate:
    """Return Student's interval and test.

    Where nothing varied, the interval is widened to what Clopper and Pearson allow for an event never seen among the
    items.
    """
    error, freedom = variance.standard_error, variance.degrees_of_freedom
    if error < NOTHING:
        unseen = unseen_rate(variance.items, 1.0 - level)
        return Estimate(mean, mean - unseen, mean + unseen, 1.0 if abs(mean) < NOTHING else 0.0, variance)
    half = float(stats.t.ppf((1.0 + level) / 2.0, freedom)) * error
    p_value = float(2.0 * stats.t.sf(abs(mean) / error, freedom))
    return Estimate(mean, mean - half, mean + half, p_value, variance)


def detectable(variance: Variance, level: float) -> tuple[float, float, float]:
    """Return the smallest true difference found with 80% power, and between what it may lie.

    It rests on a variance that was estimated: what was seen is the true one times a chi-square over its degrees of
    freedom. Of right-or-wrong items some have to differ at all (`detectable_rate`).
    """
    freedom, alpha = variance.degrees_of_freedom, 1.0 - level
    least = detectable_rate(variance.items, alpha)
    if variance.standard_error < NOTHING:
        return least, least, least
    effect = detectable_effect(variance, alpha)
    low, high = (sqrt(freedom / float(stats.chi2.ppf(share, freedom))) for share in (1.0 - alpha / 2.0, alpha / 2.0))
    return max(effect, least), max(effect * low, least), max(effect * high, least)


def detectable_effect(variance: Variance, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the smallest true difference that the test finds with the given power, if `variance` is the true one.

    The arms' variances are estimated from as many values as there are seeds, and the interval is wider where they come
    out high or unequal: the power is averaged over their distribution, chi-squares with seeds - 1 degrees of freedom.
    """
    error, seeds = variance.standard_error, variance.seeds
    if seeds == 1:
        half = np.array(error * stats.t.ppf(1.0 - alpha / 2.0, variance.degrees_of_freedom))
    else:
        quantiles = stats.chi2.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES, seeds - 1) / (seeds - 1)
        drawn = np.meshgrid(*[variance.of_seeds / variance.arms * quantiles] * variance.arms)
        total = sum(drawn) + variance.of_items
        squares = sum(part**2 for part in drawn) / (seeds - 1) + variance.of_items**2 / variance.items
        freedom = total**2 / squares if variance.arms > 1 else seeds - 1
        half = stats.t.ppf(1.0 - alpha / 2.0, freedom) * np.sqrt(total)

    def missing_power(effect: float) -> float:
        found = stats.norm.sf((half - effect) / error) + stats.norm.cdf((-half - effect) / error)
        return float(found.mean()) - power

    return float(optimize.brentq(missing_power, 0.0, 100.0 * error))


def unseen_rate(items: int, alpha: float) -> float:
    """Return the highest rate of an event that goes unseen in `items` (Clopper and Pearson, Biometrika 26, 1934)."""
    return 1.0 - (alpha / 2.0) ** (1.0 / items)


def detectable_rate(items: int, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the rate of items that differ, in one direction and the same in every seed, that is found with `power`.

    k differing items of n have the mean k/n and, by Student's test, exclude zero from some k on: four of them at 5%.
    Solves P(binomial(items, rate) >= k) = power, a quantile of the beta distribution.
    """
    bound = float(stats.t.ppf(1.0 - alpha / 2.0, max(items - 1, 1)))
    needed = next(
        (k for k in range(1, items) if k / items > bound * sqrt(k * (items - k) / (items - 1)) / items), items
    )
    return float(stats.beta.ppf(power, needed, items - needed + 1))


def planned_effect(accuracy: float, items: int, seeds: int, seed_sd: float = 0.0, alpha: float = 0.05) -> float:
    """Return the smallest difference of accuracies that a design finds with 80% power.

    Two arms with the same accuracy p; `seed_sd` is the standard deviation of one arm's true accuracy between seeds. The
    difference has the variance 2 (p (1 - p) / n + seed_sd^2) / s (Connor, Biometrics 43, 1987; Miller 2024, arXiv
    2411.00640), which the test has to estimate. Items that are right or wrong in both arms alike
    make it smaller, so this is cautious. With one seed it speaks about that seed alone.
    """
    noise = 2 * accuracy * (1 - accuracy) / items
    of_seeds = (noise + 2 * seed_sd**2) / seeds if seeds > 1 else 0.0
    of_items = 0.0 if seeds > 1 else noise
    return detectable_effect(
        Variance(2, seeds, items, of_seeds, of_items, 2 * seed_sd**2, 2 * (seeds - 1) or items - 1), alpha
    )


@dataclass(frozen=True)
class McNemar:
    """The items on which two arms of one seed disagree, and the exact two-sided test that neither has the advantage."""

    both: int
    first_only: int
    second_only: int
    neither: int
    p_value: float


def exact_mcnemar(first: ArrayLike, second: ArrayLike, units: Units = None) -> McNemar:
    """Return McNemar's exact test on the verdicts of two arms on the same items (McNemar, Psychometrika 12, 1947).

    Were the arms equal, the verdicts on a unit (`by_unit`) would be as likely with the arms exchanged, all of its items
    at once: a unit with k more items right in one arm has k or -k, with the same probability.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    ahead = np.bincount(codes_of(units, len(first)), second.astype(float) - first)
    chances = np.ones(1)  # of the sum of all units, from the least that it can be, in steps of 1
    for size, count in zip(*np.unique(np.abs(ahead[ahead != 0]).astype(int), return_counts=True), strict=True):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_size)
    sums = np.arange(len(chances)) - len(chances) // 2
    p_value = min(float(chances[np.abs(sums) >= abs(round(ahead.sum()))].sum()), 1.0)
    return McNemar(
        both=int(np.sum(first & second)),
        first_only=int(np.sum(first & ~second)),
        second_only=int(np.sum(~first & second)),
        neither=int(np.sum(~first & ~second)),
        p_value=p_value,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values of one family (Scandinavian Journal of Statistics 6, 1979)."""
    return [float(p) for p in multipletests(p_values, method="holm")[1]] if len(p_values) else []


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: int) -> Matrix:
    """Return the unbiased estimate of pass@k for each problem with `samples` tries, `correct` of them right.

    1 - C(n - c, k) / C(n, k), as a product to stay finite (Chen et al. 2021, arXiv 2107.03374, section 2.1).
    Raises ValueError when a problem has fewer than k samples.
    """
    tries, right = np.broadcast_arrays(np.asarray(samples, dtype=np.int64), np.asarray(correct, dtype=np.int64))
    if np.any(tries < k):
        raise ValueError(f"pass@{k} needs at least {k} samples of each problem")
    wrong = tries - right
    steps = np.arange(k)
    fractions = np.clip(wrong[..., None] - steps, 0, None) / (tries[..., None] - steps)
    return 1.0 - np.prod(fractions, axis=-1)


def constant_accuracy(golds: Sequence[str], answer: str) -> float:
    """Return the accuracy of answering `answer` to everything."""
    return float(np.mean(np.asarray(golds, dtype=str) == answer))
