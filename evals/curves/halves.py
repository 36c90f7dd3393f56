"""The effect of having a token, from pairs of arms whose tokens are two halves of one list.

A pair is two runs, a and b, of one seed on one text. a has the tokens of a half of the facts that was drawn at random,
b those of the others. Of a fact f, D_f = y_a(f) - y_b(f) is what the two runs differ by in an outcome y, such as the
bits of its answer. What a run's level, its text or a fact's difficulty add is in both runs, or in every D_f alike:

    effect = (mean of D over a's half - mean of D over the others) / 2

is the change that a token makes, with all of that cancelled. Its test asks how the same runs would have looked had
another half been drawn, and needs no model: if tokens make no difference, then D does not depend on the draw, and every
half of that size was as likely as the one drawn. So the effect of the drawn half is one draw from the effects of all
halves, computed on the same D: a p-value that counts those at least as large is exact, whatever the distribution of D,
however facts resemble each other, and however few pairs there are (Fisher 1935; random halves instead of all of them,
the drawn one counted among them: Phipson and Smyth 2010). Pairs were drawn apart, so each is permuted by itself.

Over the points of a curve and the prompt forms, the largest |effect| in units of its own spread under the same draws
gives p-values that hold for all of them together (Westfall and Young 1993).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BISECTIONS = 40
REACH = 12.0  # spreads from the estimate within which the ends of an interval are looked for


@dataclass(frozen=True)
class Pair:
    """One pair: which units run a has tokens for, (units,) bool, and D of each unit and outcome, (units, outcomes)."""

    drawn: np.ndarray
    difference: np.ndarray


@dataclass(frozen=True)
class Effects:
    """Effects of a token by outcome, (outcomes,), and what their test says; intervals are (2, outcomes).

    `p_adjusted` and `band` hold for all outcomes together. `by_pair` is (pairs, outcomes).
    """

    effect: np.ndarray
    p_value: np.ndarray
    p_adjusted: np.ndarray
    interval: np.ndarray
    band: np.ndarray
    by_pair: np.ndarray


def contrasts(drawn: np.ndarray) -> np.ndarray:
    """Return the weights, (halves, units), that make an effect of D for each half in the rows of `drawn`."""
    size = drawn.sum(axis=1, keepdims=True)
    return np.where(drawn, 0.5 / size, -0.5 / (drawn.shape[1] - size))


def random_halves(drawn: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Return `count` halves as large as `drawn`, behind that one: (1 + count, units) bool."""
    order = generator.random((count, len(drawn))).argsort(axis=1)
    return np.concatenate([drawn[None], order < drawn.sum()])


def permutation_test(pairs: Sequence[Pair], permutations: int, seed: int, level: float) -> Effects:
    """Return the mean effect over the pairs with its permutation test, two-sided.

    An interval holds the constant effects that the same test would not reject at 1 - `level`.
    """
    generator = np.random.default_rng(seed)
    halves = [contrasts(random_halves(pair.drawn, permutations, generator)) for pair in pairs]
    by_pair = [weights @ pair.difference for weights, pair in zip(halves, pairs, strict=True)]
    effects = np.mean(by_pair, axis=0)  # (1 + permutations, outcomes), the drawn halves first
    # What a constant effect of 1 adds to each of them: half of the units move up, half of them down.
    leverage = np.mean(
        [weights @ np.where(pair.drawn, 1.0, -1.0) for weights, pair in zip(halves, pairs, strict=True)], axis=0
    )
    spread = effects.std(axis=0)
    scaled = np.abs(effects) / np.where(spread > 0, spread, 1.0)
    largest = scaled.max(axis=1)
    return Effects(
        effect=effects[0],
        p_value=at_least(np.abs(effects), np.abs(effects[0])),
        p_adjusted=at_least(largest[:, None], scaled[0]),
        interval=invert(effects, leverage, spread, level),
        band=effects[0] + np.outer([-1, 1], np.quantile(largest, level) * spread),
        by_pair=np.array([row[0] for row in by_pair]),
    )


def at_least(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Return the share of the rows of `values` that reach `observed`, the drawn half among them."""
    return (values >= observed * (1 - 1e-12)).mean(axis=0)


def invert(effects: np.ndarray, leverage: np.ndarray, spread: np.ndarray, level: float) -> np.ndarray:
    """Return both ends of the constant effects that are not rejected, (2, outcomes).

    Infinite where there are too few halves to reject any.
    """
    ends = []
    for sign in (-1, 1):
        inside, outside = effects[0].copy(), effects[0] + sign * REACH * spread

        def kept(assumed: np.ndarray) -> np.ndarray:
            shifted = np.abs(effects - leverage[:, None] * assumed)
            return at_least(shifted, np.abs(effects[0] - assumed)) > 1 - level

        unbounded = kept(outside) & (spread > 0)
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            keep = kept(middle)
            inside, outside = np.where(keep, middle, inside), np.where(keep, outside, middle)
        ends.append(np.where(unbounded, sign * np.inf, inside))
    return np.array(ends)


def unit_effects(pairs: Sequence[Pair]) -> np.ndarray:
    """Return what a token changes for each unit, mean over the pairs, (units, outcomes): D without the runs' level."""
    return np.mean([signed(pair) for pair in pairs], axis=0)


def signed(pair: Pair) -> np.ndarray:
    """Return D less the mean of the means of both halves, its sign turned where b has the token."""
    level = (pair.difference[pair.drawn].mean(axis=0) + pair.difference[~pair.drawn].mean(axis=0)) / 2
    return np.where(pair.drawn[:, None], 1.0, -1.0) * (pair.difference - level)


def slope_test(pairs: Sequence[Pair], dose: np.ndarray, permutations: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return by how much the effect changes per unit of `dose`, (outcomes,), and the p-value that nothing has one.

    `dose` is of the units, (units,). The slope is that of least squares through the units' effects; the same random
    halves as above say how large it would be if tokens made no difference to any fact.
    """
    generator = np.random.default_rng(seed)
    centred = (dose - dose.mean()) / ((dose - dose.mean()) ** 2).sum()
    slopes = []
    for pair in pairs:
        drawn = random_halves(pair.drawn, permutations, generator)
        weights = np.where(drawn, 1.0, -1.0) * centred
        means = np.abs(contrasts(drawn)) @ pair.difference  # of both halves
        slopes.append(weights @ pair.difference - weights.sum(axis=1, keepdims=True) * means)
    mean = np.mean(slopes, axis=0)
    return mean[0], at_least(np.abs(mean), np.abs(mean[0]))
