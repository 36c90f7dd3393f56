"""The permutation of halves: exact by counting, right about an effect, silent about none."""

from itertools import combinations

import numpy as np
import pytest

from mulfact.evals.curves.halves import Pair, contrasts, permutation_test, random_halves, slope_test, unit_effects

UNITS, SIZE = 45, 22


def make_pair(seed: int, effect: np.ndarray, helped: np.ndarray | None = None, noise: float = 0.3) -> Pair:
    """Return a pair whose tokens change the outcomes of the `helped` units, by default those that have one."""
    random = np.random.default_rng(seed)
    drawn = np.zeros(UNITS, bool)
    drawn[random.permutation(UNITS)[:SIZE]] = True
    sign = np.where(drawn if helped is None else helped, 1.0, -1.0)[:, None]
    level = random.normal(0, 2)
    return Pair(drawn, level + sign * effect + random.normal(0, noise, (UNITS, len(effect))))


def test_an_effect_is_found_whatever_the_level_of_the_runs() -> None:
    effect = np.array([0.0, -0.5, -1.0])
    found = permutation_test([make_pair(seed, effect) for seed in range(4)], 2000, 0, 0.95)
    np.testing.assert_allclose(found.effect, effect, atol=0.1)
    assert found.p_adjusted[0] > 0.05
    assert (found.p_adjusted[1:] < 0.01).all()
    assert (found.interval[0] < found.effect).all()
    assert (found.effect < found.interval[1]).all()
    assert (found.band[0] <= found.interval[0] + 1e-9).all()  # what holds for all outcomes together is wider
    assert (found.interval[1] - found.interval[0] < 0.3).all()
    assert found.by_pair.shape == (4, 3)


def test_tokens_permuted_across_facts_have_no_effect() -> None:
    """What the tokens change falls on facts that were chosen without looking at who has one."""
    p_values = []
    for trial in range(200):
        random = np.random.default_rng(1000 + trial)
        pairs = [make_pair(10 * trial + n, np.array([-1.0]), random.random(UNITS) < 0.5) for n in range(2)]
        p_values.append(permutation_test(pairs, 199, trial, 0.95).p_value[0])
    rejected = np.mean(np.array(p_values) <= 0.05)
    assert rejected <= 0.09  # 5% of 200, and two and a half standard errors
    assert 0.4 < np.mean(p_values) < 0.6


def test_the_largest_of_many_points_is_held_against_the_largest_of_chance() -> None:
    least = []
    for trial in range(200):
        pairs = [make_pair(7 * trial + n, np.zeros(24)) for n in range(2)]
        found = permutation_test(pairs, 199, trial, 0.95)
        least.append((found.p_value.min(), found.p_adjusted.min()))
    alone, together = np.array(least).T
    assert np.mean(alone <= 0.05) > 0.4  # one of 24 points is nearly always remarkable by itself
    assert np.mean(together <= 0.05) <= 0.09


def test_p_is_the_share_of_all_halves_where_they_can_be_counted() -> None:
    random = np.random.default_rng(3)
    difference, drawn = random.normal(size=(8, 1)), np.array([True] * 4 + [False] * 4)
    difference[:4] -= 0.8
    every = np.zeros((70, 8), bool)
    for row, chosen in enumerate(combinations(range(8), 4)):
        every[row, list(chosen)] = True
    effects = np.abs(contrasts(every) @ difference)
    exact = np.mean(effects >= np.abs(contrasts(drawn[None]) @ difference) - 1e-12)
    found = permutation_test([Pair(drawn, difference)], 20_000, 0, 0.95)
    assert found.p_value[0] == pytest.approx(exact, abs=0.01)


def test_too_few_halves_bound_nothing() -> None:
    drawn = np.array([True, True, False, False])
    found = permutation_test([Pair(drawn, np.array([[1.0], [1.1], [0.0], [0.2]]))], 1000, 0, 0.95)
    assert np.isinf(found.interval).all()


def test_an_interval_covers_the_effect() -> None:
    covered = 0
    for trial in range(150):
        found = permutation_test(
            [make_pair(trial, np.array([0.4])), make_pair(900 + trial, np.array([0.4]))], 399, trial, 0.9
        )
        covered += bool(found.interval[0, 0] <= 0.4 <= found.interval[1, 0])
    assert 0.82 <= covered / 150 <= 0.97


def test_random_halves_are_of_one_size_and_begin_with_the_drawn_one() -> None:
    drawn = np.arange(UNITS) < SIZE
    halves = random_halves(drawn, 500, np.random.default_rng(0))
    assert (halves[0] == drawn).all()
    assert (halves.sum(axis=1) == SIZE).all()
    np.testing.assert_allclose(halves[1:].mean(axis=0), SIZE / UNITS, atol=0.12)


def test_the_dose_is_the_slope_of_the_units_effects() -> None:
    dose = np.linspace(0, 5, UNITS)
    pairs = []
    for seed in range(3):
        pair = make_pair(seed, np.array([0.0]), noise=0.05)
        sign = np.where(pair.drawn, 1.0, -1.0)[:, None]
        pairs.append(Pair(pair.drawn, pair.difference + sign * -0.2 * dose[:, None]))
    slope, p_value = slope_test(pairs, dose, 1000, 0)
    effects = unit_effects(pairs)[:, 0]
    assert slope[0] == pytest.approx(np.polyfit(dose, effects, 1)[0])
    assert slope[0] == pytest.approx(-0.2, abs=0.03)
    assert p_value[0] < 0.01
    assert slope_test([make_pair(5, np.array([0.0]))], dose, 1000, 0)[1][0] > 0.05
