"""A dozen rules that say how sure a difference between two arms is: RULES, by name.

variance, freedom = RULES["unpaired"](summary, 0, 1)     # of the difference of arm 1 to arm 0, for each experiment

A rule is told the seeds' accuracies and the items' variances, and answers with the variance of the difference and its
degrees of freedom.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mulfact.benchmarks.simulation.simulated_experiments import Array, Summary

Answer = tuple[Array, Array]
Rule = Callable[[Summary, int, int], Answer]


def satterthwaite(parts: list[Array], freedom: float) -> Array:
    """Return the degrees of freedom of a sum of variances that each have `freedom`, by the share of its own total."""
    total = sum(parts)
    squares = sum(part**2 for part in parts)
    return freedom * np.divide(total**2, squares, out=np.full_like(squares, 1e6), where=squares > 0)


def with_items(seeds_part: Array, freedom: Array, interaction: Array) -> Answer:
    """Return the whole variance, with the items' part, of which there are enough to be known."""
    total = seeds_part + interaction
    share = np.divide(total, seeds_part, out=np.full_like(total, 1e3), where=seeds_part > 0)
    return total, np.minimum(freedom * share**2, 1e6)


def paired(summary: Summary, first: int, second: int) -> Answer:
    """Seeds paired: Student's t on the seeds' differences."""
    seeds = summary.by_seed.shape[2]
    part = np.var(summary.by_seed[:, second] - summary.by_seed[:, first], axis=1, ddof=1) / seeds
    return with_items(part, np.full_like(part, seeds - 1), summary.interaction[first, second])


def paired_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """Today's rule: seeds paired, their variance with the items' noise taken out, never below zero; two corrections."""
    seeds = summary.by_seed.shape[2]
    square = np.var(summary.by_seed[:, second] - summary.by_seed[:, first], axis=1, ddof=1) / seeds
    square = square * {3: 1.08}.get(seeds, 1.0)
    noise = (summary.residual[:, first] + summary.residual[:, second]) / seeds
    excess, item = np.maximum(square - noise, 0.0), noise + summary.interaction[first, second]
    total = item + excess
    freedom = seeds - 1 + 0.8 * (total**2 / (square**2 / (seeds - 1) + 1e-30) - (seeds - 1))
    return total, np.where(excess > 0, np.clip(freedom, 1.0, 1e6), 1e6)


def unpaired(summary: Summary, first: int, second: int) -> Answer:
    """Seeds unpaired: Welch's t, each arm with its own variance."""
    seeds = summary.by_seed.shape[2]
    parts = [np.var(summary.by_seed[:, arm], axis=1, ddof=1) / seeds for arm in (first, second)]
    return with_items(sum(parts), satterthwaite(parts, seeds - 1), summary.interaction[first, second])


def unpaired_floor(summary: Summary, first: int, second: int) -> Answer:
    """The same; an arm's seeds vary by no less than its items' noise makes them."""
    seeds = summary.by_seed.shape[2]
    parts = [
        np.maximum(np.var(summary.by_seed[:, arm], axis=1, ddof=1), summary.residual[:, arm]) / seeds
        for arm in (first, second)
    ]
    return with_items(sum(parts), satterthwaite(parts, seeds - 1), summary.interaction[first, second])


def unpaired_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """The same, and where an arm's seeds vary by no more than that, its variance counts as known."""
    seeds = summary.by_seed.shape[2]
    parts, uncertain = [], []
    for arm in (first, second):
        observed = np.var(summary.by_seed[:, arm], axis=1, ddof=1)
        parts.append(np.maximum(observed, summary.residual[:, arm]) / seeds)
        uncertain.append(np.where(observed > summary.residual[:, arm], observed, 0.0) / seeds)
    total = sum(parts) + summary.interaction[first, second]
    squares = sum(part**2 for part in uncertain) / (seeds - 1)
    freedom = np.divide(total**2, squares, out=np.full_like(total, 1e6), where=squares > 0)
    return total, np.minimum(freedom, 1e6)


def pooled(summary: Summary, first: int, second: int) -> Answer:
    """Seeds unpaired, one variance for all arms."""
    _, arms, seeds = summary.by_seed.shape
    part = 2 * np.var(summary.by_seed, axis=2, ddof=1).mean(axis=1) / seeds
    return with_items(part, np.full_like(part, arms * (seeds - 1)), summary.interaction[first, second])


def moderated(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: Welch's t, each arm's variance halfway to the mean of all arms at three seeds, less so with more."""
    _, arms, seeds = summary.by_seed.shape
    variances, prior = np.var(summary.by_seed, axis=2, ddof=1), 2
    moderate = (prior * variances.mean(axis=1, keepdims=True) + (seeds - 1) * variances) / (prior + seeds - 1)
    parts = [moderate[:, arm] / seeds for arm in (first, second)]
    freedom = satterthwaite(parts, seeds - 1 + prior * (1 - 2 / arms))
    return with_items(sum(parts), freedom, summary.interaction[first, second])


def pooled_if_alike(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: pooled where Bartlett's test finds the arms' variances alike (p above 20%), else unpaired."""
    _, arms, seeds = summary.by_seed.shape
    variances = np.maximum(np.var(summary.by_seed, axis=2, ddof=1), 1e-12)
    statistic = (seeds - 1) * (arms * np.log(variances.mean(axis=1)) - np.log(variances).sum(axis=1))
    alike = stats.chi2.sf(statistic / (1 + (arms + 1) / (3 * arms * (seeds - 1))), arms - 1) > 0.2
    one, other = pooled(summary, first, second), unpaired_floor(summary, first, second)
    return np.where(alike, one[0], other[0]), np.where(alike, one[1], other[1])


def blocks(summary: Summary, first: int, second: int) -> Answer:
    """Seeds as blocks of a two-way analysis of variance: paired, one variance for all arms."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    rest = by_seed - by_seed.mean(axis=1, keepdims=True) - by_seed.mean(axis=2, keepdims=True)
    rest = rest + by_seed.mean(axis=(1, 2), keepdims=True)
    freedom = (arms - 1) * (seeds - 1)
    part = 2 * np.sum(rest**2, axis=(1, 2)) / freedom / seeds
    return with_items(part, np.full_like(part, freedom), summary.interaction[first, second])


def less_covariance(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: Welch's variance less the mean covariance of all pairs of arms, where that is above zero."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    centred = by_seed - by_seed.mean(axis=2, keepdims=True)
    of_sum = np.sum(centred.sum(axis=1) ** 2, axis=1) - np.sum(centred**2, axis=(1, 2))
    pairs = arms * (arms - 1) / 2
    covariance = np.maximum(of_sum / 2 / pairs / (seeds - 1), 0.0)
    variances = [np.var(by_seed[:, arm], axis=1, ddof=1) for arm in (first, second)]
    covariance = np.minimum(covariance, np.sqrt(variances[0] * variances[1]) * 0.95)
    freedom = satterthwaite(variances, seeds - 1)
    freedom = np.where(covariance > 0, freedom * (1 - 1 / (2 * pairs)), freedom)
    part = (sum(variances) - 2 * covariance) / seeds
    return with_items(part, freedom, summary.interaction[first, second])


def seeds_correlate(summary: Summary, alpha: float) -> NDArray[np.bool_]:
    """Return where a seed is significantly better or worse than others in all arms together, by an F test."""
    by_seed = summary.by_seed
    _, arms, seeds = by_seed.shape
    seed_square = arms * np.var(by_seed.mean(axis=1), axis=1, ddof=1)
    rest = np.var(by_seed, axis=2, ddof=1).sum(axis=1) - seed_square
    rest_square = np.maximum(rest / (arms - 1), 1e-12)
    return stats.f.sf(seed_square / rest_square, seeds - 1, (arms - 1) * (seeds - 1)) < alpha


def either(summary: Summary, first: int, second: int, rules: tuple[Rule, Rule], alpha: float) -> Answer:
    """Return the answer of the first rule where seeds correlate, else that of the second."""
    correlate = seeds_correlate(summary, alpha)
    one, other = (rule(summary, first, second) for rule in rules)
    return np.where(correlate, one[0], other[0]), np.where(correlate, one[1], other[1])


def paired_plain(summary: Summary, first: int, second: int) -> Answer:
    """Seeds paired, with no more degrees of freedom than seeds - 1, whatever the items' part is."""
    variance, freedom = paired(summary, first, second)
    return variance, np.full_like(freedom, summary.by_seed.shape[2] - 1)


def tested(summary: Summary, first: int, second: int) -> Answer:
    """Adaptive: paired where seeds correlate significantly (5%) over all arms, else unpaired."""
    return either(summary, first, second, (paired_plain, unpaired), 0.05)


def tested_cleaned(summary: Summary, first: int, second: int) -> Answer:
    """The same of the two rules that take the items' noise out of the seeds' variance."""
    return either(summary, first, second, (paired_cleaned, unpaired_cleaned), 0.05)


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        paired, paired_plain, paired_cleaned, unpaired, unpaired_floor, unpaired_cleaned, pooled, blocks, moderated,
        pooled_if_alike, less_covariance, tested, tested_cleaned,
    )
}  # fmt: skip
