"""How sure a difference is: intervals, tests, power. Everything here takes plain arrays and knows no arm.

    python -c "from mulfact.evals.comparison.significance import *; print(planned_effect(0.04, items=1319, seeds=5))"

Outcomes of an arm are a matrix of shape (seeds, items); a difference is the matrix of one arm minus that of another,
paired by seed and item. docs/protocol.md says which of these procedures decides what.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

Matrix = NDArray[np.float64]
POWER = 0.8

# Two small-sample corrections. With three seeds the variance between them comes out as zero too often, and
# Satterthwaite's degrees of freedom, taken from estimates, come out too high: uncorrected the 95% interval covers as
# little as 92.3%. These two numbers are the smallest changes that keep its coverage between 93% and 97% for normally
# distributed effects of the seeds, from no variance between them to fifty times the items' noise;
# tests/evals/comparison/test_significance.py computes it, and how much less it is for skewed effects.
SEED_SQUARE_FACTOR = {3: 1.08}  # on the mean square between seeds, by the number of seeds; 1 for others
SATTERTHWAITE_SHARE = 0.8  # how much of what Satterthwaite adds to seeds - 1 is believed


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and items with its interval; `p_value` is two-sided, against a mean of zero."""

    mean: float
    low: float
    high: float
    p_value: float
    standard_error: float
    degrees_of_freedom: float


@dataclass(frozen=True)
class Components:
    """Variances of a two-way table, seeds by items, without replication."""

    seeds: int
    items: int
    item_variance: float  # of the mean over seeds and items, from drawing items
    residual_variance: float  # of that mean, from what neither seed nor item explains; a part of item_variance
    seed_variance: float  # of one seed's mean, item noise taken out; 0 with one seed
    degrees_of_freedom: float  # of the estimated variance of the mean

    @property
    def standard_error(self) -> float:
        return sqrt(self.item_variance + self.seed_variance / self.seeds)


def variance_components(matrix: Matrix) -> Components:
    """Return what varies in a (seeds, items) table: crossed random effects, by the method of moments.

    Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946; for crossed designs Clark's quasi-F, J. Verbal
    Learning and Verbal Behavior 12, 1973). A negative estimate of the seed variance counts as zero.
    """
    seeds, items = matrix.shape
    by_seed, by_item, grand = matrix.mean(axis=1), matrix.mean(axis=0), matrix.mean()
    item_freedom = max(items - 1, 1)
    item_square = seeds * float(np.sum((by_item - grand) ** 2)) / item_freedom
    item_variance = item_square / (seeds * items)
    if seeds == 1:
        return Components(1, items, item_variance, item_variance, 0.0, item_freedom)
    seed_square = items * float(np.sum((by_seed - grand) ** 2)) / (seeds - 1) * SEED_SQUARE_FACTOR.get(seeds, 1.0)
    residual = matrix - by_seed[:, None] - by_item[None, :] + grand
    residual_freedom = (seeds - 1) * item_freedom
    residual_square = float(np.sum(residual**2)) / residual_freedom
    residual_variance = residual_square / (seeds * items)
    if seed_square <= residual_square * (1.0 + 1e-9):  # equal but for rounding
        return Components(seeds, items, item_variance, residual_variance, 0.0, item_freedom)
    spread = (seed_square**2 / (seeds - 1) + item_square**2 / item_freedom + residual_square**2 / residual_freedom) / (
        seed_square + item_square - residual_square
    ) ** 2
    seed_variance = (seed_square - residual_square) / items
    freedom = cautious_freedom(1.0 / spread, seeds)
    return Components(seeds, items, item_variance, residual_variance, seed_variance, float(freedom))


def cautious_freedom(satterthwaite: ArrayLike, seeds: int) -> Matrix:
    """Return the degrees of freedom that are used, from Satterthwaite's."""
    return np.maximum(seeds - 1 + SATTERTHWAITE_SHARE * (np.asarray(satterthwaite) - (seeds - 1)), 1.0)


def hierarchical_bootstrap(matrix: ArrayLike, samples: int, level: float, generator: np.random.Generator) -> Estimate:
    """Return the mean of a (seeds, items) matrix with its bootstrap interval: seeds first, then items.

    Items are drawn with replacement, an item with all its seeds (they share its difficulty). Seeds are not drawn from
    the few that were run, for that takes their variance too small by a third with three seeds, and counts the noise of
    the items within them twice (Davison and Hinkley 1997, section 3.8). Their part is drawn from the estimated variance
    between seeds, and the sum is spread by a chi-square with Satterthwaite's degrees of freedom, because that variance
    was estimated from as few values. docs/protocol.md states the coverage, and
    the tests check it.
    With one seed only items are drawn, and the interval speaks of that seed alone. Where no item differs from another,
    it is widened to what Clopper and Pearson allow for an event never seen among the items.
    """
    values = np.atleast_2d(np.asarray(matrix, dtype=np.float64))
    components, mean = variance_components(values), float(values.mean())
    if np.ptp(values) == 0.0 or components.standard_error == 0.0:
        unseen = unseen_rate(components.items, 1.0 - level)
        return Estimate(mean, mean - unseen, mean + unseen, 1.0 if mean == 0.0 else 0.0, 0.0, 0.0)
    drawn = draw_items(values.mean(axis=0), samples, generator) - mean
    drawn += generator.normal(0.0, sqrt(components.seed_variance / components.seeds), samples)
    freedom = components.degrees_of_freedom
    drawn *= np.sqrt(freedom / generator.chisquare(freedom, samples))
    low, high = mean + np.quantile(drawn, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    beyond = float(min(np.sum(mean + drawn <= 0.0), np.sum(mean + drawn >= 0.0)))
    p_value = min(1.0, 2.0 * (beyond + 1.0) / (samples + 1.0))
    return Estimate(mean, float(low), float(high), p_value, components.standard_error, freedom)


def unseen_rate(items: int, alpha: float) -> float:
    """Return the highest rate of an event that goes unseen in `items` (Clopper and Pearson, Biometrika 26, 1934)."""
    return 1.0 - (alpha / 2.0) ** (1.0 / items)


def draw_items(values: Matrix, samples: int, generator: np.random.Generator) -> Matrix:
    """Return the means of `samples` draws, with replacement, of as many items as there are.

    Equal values are drawn together as one multinomial count: the same distribution, and fast for right-or-wrong items.
    """
    distinct, counts = np.unique(values, return_counts=True)
    means = np.empty(samples)
    chunk = max(1, 4_000_000 // len(distinct))
    for start in range(0, samples, chunk):
        size = min(chunk, samples - start)
        means[start : start + size] = generator.multinomial(len(values), counts / len(values), size) @ distinct
    return means / len(values)


def detectable_effect(components: Components, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the smallest true mean that `hierarchical_bootstrap` finds different from zero with the given power.

    The textbook value is (z[1 - alpha/2] + z[power]) x standard error. With several seeds their variance is estimated
    from as many values, and the interval is wider in the runs where that estimate came out high: the power is averaged
    over the estimate's distribution (a chi-square with seeds - 1 degrees), and solved for the effect. Of right-or-wrong
    items some have to differ at all, however small the error that a run with few of them saw.
    """
    seeds, error = components.seeds, components.standard_error
    if error == 0.0:
        return detectable_rate(components.items, alpha, power)
    if seeds == 1:
        effect = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)) * error
        return max(effect, detectable_rate(components.items, alpha, power))
    quantiles = (np.arange(2000) + 0.5) / 2000
    seed_square = (components.seed_variance / seeds + components.residual_variance) * (
        stats.chi2.ppf(quantiles, seeds - 1) / (seeds - 1)
    )
    half = half_widths(components, seed_square, 1 - alpha)

    def missing_power(effect: float) -> float:
        found = stats.norm.sf((half - effect) / error) + stats.norm.cdf((-half - effect) / error)
        return float(found.mean()) - power

    return float(optimize.brentq(missing_power, 0.0, 100.0 * error))


def detectable_rate(items: int, alpha: float, power: float) -> float:
    """Return the rate of items that differ, in one direction and the same in every seed, that is found with `power`.

    k differing items exclude zero for certain when fewer than alpha/2 of the draws miss them all, (1 - k/items)^items:
    four of them at 5%. Solves P(binomial(items, rate) >= k) = power, a quantile of the beta distribution.
    """
    needed = next(k for k in range(1, items + 1) if (1 - k / items) ** items < alpha / 2)
    return float(stats.beta.ppf(power, needed, items - needed + 1))


def half_widths(components: Components, seed_square: Matrix, level: float) -> Matrix:
    """Return half the width of the interval for each observed variance of the seeds' means, divided by the seeds.

    `components` are the true ones, of several seeds; many items are assumed.
    """
    seeds = components.seeds
    seed_square = seed_square * SEED_SQUARE_FACTOR.get(seeds, 1.0)
    excess = np.maximum(seed_square - components.residual_variance, 0.0)
    variance = components.item_variance + excess
    freedom = cautious_freedom(variance**2 / (seed_square**2 / (seeds - 1)), seeds)
    freedom = np.where(excess > 0, np.minimum(freedom, 1e9), 1e9)
    return stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(variance)


def planned_effect(
    accuracy: float, items: int, seeds: int, seed_sd: float = 0.0, correlation: float = 0.0, alpha: float = 0.05
) -> tuple[float, float]:
    """Return the smallest difference of accuracies that a paired design can find with 80% power: (textbook, ours).

    Paired right-or-wrong items of two arms with the same accuracy p and correlation r differ with the probability
    w = 2 p (1 - p) (1 - r), and the mean of the differences over n items and s seeds has the variance
    w / (n s) + seed_sd^2 / s (Connor, Biometrics 43, 1987; Miller 2024, arXiv 2411.00640). The textbook value takes
    seed_sd for known; ours is that of `hierarchical_bootstrap`, which has to estimate it.
    """
    discordant = 2 * accuracy * (1 - accuracy) * (1 - correlation)
    noise = discordant / (items * seeds)
    components = Components(seeds, items, noise, noise, seed_sd**2 if seeds > 1 else 0.0, items - 1)
    textbook = float(stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(POWER)) * components.standard_error
    return textbook, detectable_effect(components, alpha)


@dataclass(frozen=True)
class McNemar:
    """The items on which two arms of one seed disagree, and the exact two-sided test that neither has the advantage."""

    both: int
    first_only: int
    second_only: int
    neither: int
    p_value: float


def exact_mcnemar(first: ArrayLike, second: ArrayLike) -> McNemar:
    """Return McNemar's exact test on the verdicts of two arms on the same items (McNemar, Psychometrika 12, 1947)."""
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    both, first_only = int(np.sum(first & second)), int(np.sum(first & ~second))
    second_only, neither = int(np.sum(~first & second)), int(np.sum(~first & ~second))
    result = mcnemar([[both, first_only], [second_only, neither]], exact=True)
    return McNemar(both, first_only, second_only, neither, float(result.pvalue))


def seed_mean(values: ArrayLike, level: float) -> Estimate | None:
    """Return the mean of one value a seed with Student's interval and test; None with fewer than two seeds."""
    values = np.asarray(values, dtype=np.float64)
    if len(values) < 2:
        return None
    mean, error, freedom = float(values.mean()), float(stats.sem(values)), len(values) - 1
    if error == 0.0:
        return Estimate(mean, mean, mean, 1.0 if mean == 0.0 else 0.0, 0.0, freedom)
    test = stats.ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(level)
    return Estimate(mean, float(low), float(high), float(test.pvalue), error, freedom)


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
