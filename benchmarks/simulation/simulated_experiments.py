"""Simulated experiments: arms, seeds and right-or-wrong items, and what a rule of analysis is told of them.

for summary in simulate(Design(seeds=3, arms=4), effect=0.05, experiments=100, generator=np.random.default_rng(0)):
    print(summary.by_seed.mean(axis=2))

An arm's true accuracy varies from seed to seed; an item is harder or easier in every arm (so items are always paired),
and somewhat more so in one arm than in another.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
ITEMS = 500
ITEM_SD, INTERACTION_SD = 1.0, 0.3  # of the items' difficulty, and of its part that one arm has alone, in probits
CHUNK = 6_000_000  # outcomes that are drawn at a time


@dataclass(frozen=True)
class Design:
    """One kind of experiment. `noise_ratio`: seeds' SD in units of one seed's item noise, the mean of the two arms'.

    `sd_ratio`: the SD of the treatment and of each second arm after it, in units of the others'. `kind` of the seeds:
    normal (a beta distribution), skewed (one seed in five lies four times as far below the mean as the others above),
    or two (each seed is of a good or of a bad kind).
    """

    seeds: int
    arms: int
    correlation: float = 0.0
    sd_ratio: float = 1.0
    accuracy: float = 0.25
    noise_ratio: float = 1.0
    kind: str = "normal"

    @property
    def sds(self) -> Array:
        noise = np.sqrt(self.accuracy * (1 - self.accuracy) / ITEMS)
        low = self.noise_ratio * noise / np.sqrt((1 + self.sd_ratio**2) / 2)
        return np.array([low * (self.sd_ratio if arm % 2 == 1 else 1.0) for arm in range(self.arms)])


@dataclass(frozen=True)
class Summary:
    """What a rule is told of many experiments: arrays (experiments, arms, ...)."""

    by_seed: Array  # (experiments, arms, seeds): accuracies
    residual: Array  # (experiments, arms): variance of one seed's accuracy that items alone make
    interaction: dict[tuple[int, int], Array]  # (experiments,): variance of a difference that items make in any seed


def seed_accuracies(design: Design, effect: float, count: int, generator: np.random.Generator) -> Array:
    """Return true accuracies (count, arms, seeds), of which arm 1 has the mean accuracy + effect."""
    shape = (count, design.arms, design.seeds)
    shared = np.sqrt(design.correlation) * generator.standard_normal((count, 1, design.seeds))
    normal = shared + np.sqrt(1 - design.correlation) * generator.standard_normal(shape)
    values = np.empty(shape)
    for arm, sd in enumerate(design.sds):
        mean = design.accuracy + (effect if arm == 1 else 0.0)
        if sd == 0:
            values[:, arm] = mean
        elif design.kind == "normal":
            size = mean * (1 - mean) / sd**2 - 1
            grid = np.linspace(-5, 5, 2001)
            quantiles = stats.beta.ppf(stats.norm.cdf(grid), mean * size, (1 - mean) * size)
            values[:, arm] = np.interp(normal[:, arm], grid, quantiles)
        elif design.kind == "skewed":
            values[:, arm] = mean + sd * np.where(generator.random(shape[::2]) < 0.2, -2.0, 0.5)
        else:
            kinds = np.where(generator.random(shape[::2]) < 0.5, -1.0, 1.0)
            values[:, arm] = mean + sd * (0.95 * kinds + np.sqrt(1 - 0.95**2) * normal[:, arm])
    return np.clip(values, 0.001, 0.999)


def true_error(design: Design) -> float:
    """Return the standard error of the difference between arm 1 and arm 0, by one large draw of items' variances."""
    first, second = design.sds[0], design.sds[1]
    seeds = (first**2 + second**2 - 2 * design.correlation * first * second) / design.seeds
    total = np.sqrt(1 + ITEM_SD**2 + INTERACTION_SD**2)
    threshold = stats.norm.ppf(design.accuracy) * total
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / weights.sum()
    difficulty, own = np.meshgrid(ITEM_SD * nodes, INTERACTION_SD * nodes, indexing="ij")
    weight = np.outer(weights, weights)
    right = stats.norm.cdf(threshold + difficulty + own)
    residual = float(np.sum(weight * right * (1 - right)))
    of_item = right @ weights
    interaction = float(np.sum(weight * right**2) - np.sum(weights * of_item**2))
    return float(np.sqrt(seeds + 2 * (residual / design.seeds + interaction) / ITEMS))


def simulate(design: Design, effect: float, experiments: int, generator: np.random.Generator) -> Iterator[Summary]:
    """Yield the summaries of experiments, a chunk at a time."""
    total = np.sqrt(1 + ITEM_SD**2 + INTERACTION_SD**2)
    size = max(1, min(experiments, CHUNK // (design.arms * design.seeds * ITEMS)))
    for start in range(0, experiments, size):
        count = min(size, experiments - start)
        accuracy = seed_accuracies(design, effect, count, generator)
        shape = (*accuracy.shape, ITEMS)
        latent = generator.standard_normal(shape, dtype=np.float32)
        latent += (stats.norm.ppf(accuracy) * total).astype(np.float32)[..., None]
        own = generator.normal(0, INTERACTION_SD, (count, design.arms, 1, ITEMS))
        latent += (own + generator.normal(0, ITEM_SD, (count, 1, 1, ITEMS))).astype(np.float32)
        yield summarise(latent > 0)


def summarise(right: NDArray[np.bool_]) -> Summary:
    """Return what the rules are told of outcomes (experiments, arms, seeds, items)."""
    seeds, items = right.shape[2:]
    by_seed, by_item = right.mean(axis=3), right.mean(axis=2)
    mean = by_seed.mean(axis=2)
    squares = seeds * items * mean  # the square of a right item is itself
    squares = squares - items * np.sum(by_seed**2, axis=2) - seeds * np.sum(by_item**2, axis=2)
    residual = np.maximum(squares + seeds * items * mean**2, 0) / ((seeds - 1) * (items - 1)) / items
    interaction = {}
    for first, second in contrasts(right.shape[1]):
        by_items = np.var(by_item[:, second] - by_item[:, first], axis=1, ddof=1) / items
        noise = (residual[:, first] + residual[:, second]) / seeds
        interaction[first, second] = np.maximum(by_items - noise, 0.0)
    return Summary(by_seed, residual, interaction)


def contrasts(arms: int) -> list[tuple[int, int]]:
    """Return the pairs that are tested: treatment and reference, two arms of a small SD, two of a large one."""
    return [(0, 1), *([(0, 2), (1, 3)] if arms > 2 else [])]
