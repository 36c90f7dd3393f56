"""The statistics against simulation, against worked examples, and against each other's published values."""

import json
from math import comb
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from mulfact.data_builders.posttrain import most_frequent_answer
from mulfact.evals.comparison.significance import (
    constant_accuracy,
    detectable,
    detectable_rate,
    estimate_difference,
    estimate_mean,
    exact_mcnemar,
    holm,
    pass_at_k,
    planned_effect,
    seeds_correlate,
    variance_of,
)

ITEMS, ACCURACY, EXPERIMENTS = 200, 0.25, 300
NOISE = (ACCURACY * (1 - ACCURACY) / ITEMS) ** 0.5  # standard deviation of one seed's accuracy, from its items


def arm(
    generator: np.random.Generator, seeds: int, accuracy: float, seed_sd: float, difficulty: np.ndarray
) -> np.ndarray:
    """Return right and wrong items (seeds, items) of an arm whose true accuracy varies from seed to seed."""
    shift = accuracy + generator.normal(0, seed_sd, (seeds, 1)) + difficulty
    return (generator.random((seeds, len(difficulty))) < shift).astype(float)


def rates(seeds: int, effect: float = 0.0, first_sd: float = 0.0, second_sd: float = 0.0) -> tuple[float, float]:
    """Return how often the 95% interval covers the true effect, and how often zero is rejected at 5%."""
    generator, estimates = np.random.default_rng(1), []
    for _ in range(EXPERIMENTS):
        difficulty = generator.uniform(-0.15, 0.15, ITEMS)
        first = arm(generator, seeds, ACCURACY - effect / 2, first_sd, difficulty)
        second = arm(generator, seeds, ACCURACY + effect / 2, second_sd, difficulty)
        estimates.append(estimate_difference(first, second, 0.95))
    covered = np.mean([estimate.low <= effect <= estimate.high for estimate in estimates])
    return float(covered), float(np.mean([estimate.p_value <= 0.05 for estimate in estimates]))


@pytest.mark.parametrize(
    ("seeds", "first_sd", "second_sd"),
    [(1, 0, 0), (3, 0, 0), (3, NOISE, NOISE), (3, NOISE, 3 * NOISE), (5, 2 * NOISE, 0), (8, 2 * NOISE, 2 * NOISE)],
)
def test_arms_that_do_not_differ_are_told_apart_as_often_as_the_level_says(
    seeds: int, first_sd: float, second_sd: float
) -> None:
    covered, rejected = rates(seeds, 0.0, first_sd, second_sd)
    assert covered == pytest.approx(1 - rejected)
    assert 0.92 <= covered <= 0.99  # 93% and more (docs/protocol.md), and two standard errors of 500 experiments


def test_a_true_effect_of_five_points_is_found_and_covered() -> None:
    """Of 200 items a single seed knows an accuracy to 3 points; sixteen seeds that differ by 2.4 find the 5."""
    covered, found = rates(16, 0.05, 0.8 * NOISE, 0.8 * NOISE)
    assert covered >= 0.92
    assert found >= 0.9
    assert found > rates(3, 0.05, 0.8 * NOISE, 0.8 * NOISE)[1]


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 2 * NOISE), (5, 2 * NOISE), (8, 2 * NOISE)])
def test_a_planned_effect_is_found_with_80_percent(seeds: int, seed_sd: float) -> None:
    """The plan leaves out that items are harder in both arms, so it may be found more often."""
    _, power = rates(seeds, planned_effect(ACCURACY, ITEMS, seeds, seed_sd), seed_sd, seed_sd)
    assert 0.74 <= power <= 0.9


def test_baseline_seeds_against_baseline_seeds_in_all_splits_of_ten() -> None:
    """An A/A comparison: 126 splits of ten seeds in two halves are rejected at about the level."""
    rejected, splits = 0, [half for half in range(1 << 10) if half & 1 and half.bit_count() == 5]
    assert len(splits) == 126
    generator = np.random.default_rng(3)
    for _ in range(5):
        ten = arm(generator, 10, 0.6, 0.05, generator.uniform(-0.3, 0.3, 200))
        for half in splits:
            chosen = np.array([bool(half >> seed & 1) for seed in range(10)])
            rejected += estimate_difference(ten[chosen], ten[~chosen], 0.95).p_value <= 0.05
    assert 0.01 <= rejected / (5 * len(splits)) <= 0.09


TABLE = [f"{min(a, b)}x{max(a, b)}" for a in range(1, 10) for b in range(1, 10)]  # 81 items of 45 facts


@pytest.mark.parametrize(("seeds", "missed_by_item"), [(1, 0.11), (3, 0.05), (8, 0.065)])
def test_a_fact_that_is_asked_twice_counts_once(seeds: int, missed_by_item: float) -> None:
    """Arms are good at different facts, and know 9*6 where they know 6*9: 81 items tell what 45 facts do."""
    generator, misses = np.random.default_rng(11), np.zeros(2)
    _, fact = np.unique(TABLE, return_inverse=True)
    for _ in range(600):
        better = generator.uniform(-0.45, 0.45, 45)[fact]  # of the second arm, by fact, and nothing on the whole
        luck = generator.random((2, seeds, 45))[..., fact]
        first, second = luck[0] < 0.5 - better / 2, luck[1] < 0.5 + better / 2
        estimates = [estimate_difference(first, second, 0.95, units=units) for units in (None, TABLE)]
        assert estimates[0].mean == pytest.approx(estimates[1].mean)
        misses += [not estimate.low <= 0 <= estimate.high for estimate in estimates]
    by_item, by_fact = misses / 600
    assert 0.02 <= by_fact <= 0.07
    assert by_item >= missed_by_item


def test_units_of_one_item_each_change_nothing() -> None:
    generator = np.random.default_rng(12)
    first, second = (generator.random((3, 50)) < rate for rate in (0.4, 0.5))
    names = [str(item) for item in range(50)]
    assert estimate_difference(first, second, 0.95, units=names) == estimate_difference(first, second, 0.95)
    assert estimate_mean(first, 0.95, names) == estimate_mean(first, 0.95)
    assert exact_mcnemar(first[0], second[0], names) == exact_mcnemar(first[0], second[0])


def test_items_that_are_all_asked_twice_have_the_interval_of_half_of_them() -> None:
    generator = np.random.default_rng(13)
    first, second = (generator.random((3, 40)) < rate for rate in (0.4, 0.5))
    twice = [np.repeat(arm, 2, axis=1) for arm in (first, second)]
    once, paired = estimate_difference(first, second, 0.95), [str(item // 2) for item in range(80)]
    found = estimate_difference(*twice, 0.95, units=paired)
    assert [found.low, found.high, found.p_value] == pytest.approx([once.low, once.high, once.p_value])
    tests = exact_mcnemar(first[0], second[0]), exact_mcnemar(twice[0][0], twice[1][0], paired)
    assert tests[0].p_value == pytest.approx(tests[1].p_value)
    assert tests[1].both == 2 * tests[0].both
    assert exact_mcnemar(twice[0][0], twice[1][0]).p_value < tests[0].p_value


def test_the_exact_test_of_units_keeps_its_level_where_that_of_items_does_not() -> None:
    generator, rejected = np.random.default_rng(14), np.zeros(2)
    _, fact = np.unique(TABLE, return_inverse=True)
    for _ in range(1000):
        first, second = (generator.random((2, 45)) < 0.5)[:, fact]
        rejected += [exact_mcnemar(first, second, units).p_value <= 0.05 for units in (None, TABLE)]
    assert rejected[0] / 1000 > 0.08
    assert 0.02 <= rejected[1] / 1000 <= 0.06


def test_the_interval_of_two_arms_is_welchs_where_items_are_many() -> None:
    by_seed = np.array([[0.1, 0.2, 0.3], [0.4, 0.42, 0.44]])
    first, second = (np.repeat(values[:, None], 1000, axis=1) for values in by_seed)
    estimate = estimate_difference(first, second, 0.95)
    welch = stats.ttest_ind(by_seed[1], by_seed[0], equal_var=False)
    interval = welch.confidence_interval(0.95)
    assert [estimate.low, estimate.high] == pytest.approx([interval.low, interval.high])
    assert estimate.p_value == pytest.approx(welch.pvalue)
    assert estimate.variance.seed_variance == pytest.approx(0.1**2 + 0.02**2)


def test_the_interval_of_one_seed_is_that_of_its_items() -> None:
    generator = np.random.default_rng(4)
    first, second = (generator.random((1, 500)) < rate for rate in (0.3, 0.4))
    estimate = estimate_difference(first, second, 0.95)
    paired = stats.ttest_rel(second[0].astype(float), first[0].astype(float))
    assert estimate.p_value == pytest.approx(paired.pvalue)
    assert estimate.variance.seed_variance == 0.0


def test_paired_seeds_that_share_their_luck_see_a_smaller_difference() -> None:
    generator = np.random.default_rng(5)
    luck = generator.normal(0, 0.1, (5, 1))
    first, second = (generator.random((5, 2000)) < rate + luck for rate in (0.4, 0.45))
    unpaired, paired = (estimate_difference(first, second, 0.95, pair_seeds) for pair_seeds in (False, True))
    assert paired.high - paired.low < 0.5 * (unpaired.high - unpaired.low)
    assert seeds_correlate([first.mean(axis=1), second.mean(axis=1)])


def test_seeds_are_said_to_correlate_at_the_level_only() -> None:
    generator = np.random.default_rng(6)
    found = np.mean([seeds_correlate(generator.normal(0, 1, (4, 3))) for _ in range(2000)])
    assert found == pytest.approx(0.05, abs=0.015)
    assert not seeds_correlate(generator.normal(0, 1, (4, 1)))
    assert not seeds_correlate([[0.3] * 3, [0.1 + 0.4] * 3])
    assert seeds_correlate([[0.1, 0.2], [0.3, 0.4]])  # the same difference in every seed


def test_the_parts_of_the_variance_are_those_that_were_planted() -> None:
    generator = np.random.default_rng(0)
    found = []
    for _ in range(200):
        item = generator.normal(0, 0.5, 300)  # of the second arm alone
        first = generator.normal(0, 0.3, (8, 1)) + generator.normal(0, 1.0, (8, 300))
        second = generator.normal(0, 0.1, (8, 1)) + generator.normal(0, 1.0, (8, 300)) + item
        found.append(variance_of([first, second]))
    assert np.mean([variance.seed_variance for variance in found]) == pytest.approx(0.1, rel=0.1)
    assert np.mean([variance.of_items for variance in found]) == pytest.approx(0.25 / 300, rel=0.1)
    assert np.mean([variance.of_seeds for variance in found]) == pytest.approx((0.1 + 2 / 300) / 8, rel=0.1)


def test_what_could_have_been_detected_has_a_range_that_few_seeds_make_wide() -> None:
    generator, widths = np.random.default_rng(7), []
    for seeds in (3, 16):
        first, second = (arm(generator, seeds, 0.5, 0.03, np.zeros(400)) for _ in range(2))
        effect, low, high = detectable(estimate_difference(first, second, 0.95).variance, 0.95)
        assert low < effect < high
        widths.append(high / low)
    assert widths[0] > 2 * widths[1]


def test_the_detectable_effect_is_the_textbooks_where_seeds_are_many() -> None:
    textbook = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * (2 * (0.2 * 0.8 / 500 + 0.03**2) / 400) ** 0.5
    assert planned_effect(0.2, 500, 400, 0.03) == pytest.approx(textbook, rel=0.01)


def test_planned_effect_of_gsm8k() -> None:
    found = [planned_effect(0.04, 1319, seeds, sd) for seeds in (3, 5, 8) for sd in (0.0, 0.01)]
    assert found == pytest.approx([0.0189, 0.0398, 0.0112, 0.0237, 0.0082, 0.0173], abs=0.0001)  # docs/protocol.md
    assert planned_effect(0.04, 1319, 1) == pytest.approx(0.0214, abs=0.0001)


def test_arms_that_never_differ_leave_the_rare_difference_open() -> None:
    same = np.ones((3, 300))
    estimate = estimate_difference(same, same, 0.95)
    assert estimate.high == -estimate.low == pytest.approx(0.0122, abs=0.0001)  # Clopper-Pearson, 0 of 300
    assert estimate.p_value == 1.0
    assert detectable(estimate.variance, 0.95)[0] == detectable_rate(300) == pytest.approx(0.0183, abs=0.0001)
    assert stats.binom.sf(3, 300, detectable_rate(300)) == pytest.approx(0.8)  # four items or more
    for differing, excluded in ((3, False), (4, True)):
        first, second = np.zeros((1, 300)), np.zeros((1, 300))
        second[:, :differing] = 1.0
        assert (estimate_difference(first, second, 0.95).low > 0) == excluded


def test_the_mean_of_an_arm_has_an_interval_over_seeds_and_items() -> None:
    matrix = np.repeat(np.array([0.1, 0.2, 0.3])[:, None], 50, axis=1)
    estimate = estimate_mean(matrix, 0.95)
    half = 4.3027 * 0.1 / 3**0.5  # Student, two degrees of freedom
    assert [estimate.low, estimate.high] == pytest.approx([0.2 - half, 0.2 + half], abs=1e-4)
    one_value_a_seed = estimate_mean(matrix[:, :1], 0.95)
    assert [one_value_a_seed.low, one_value_a_seed.high] == pytest.approx([0.2 - half, 0.2 + half], abs=1e-4)


def test_exact_mcnemar_is_the_binomial_test_on_the_items_that_differ() -> None:
    first = [True] * 2 + [True] * 1 + [False] * 6 + [False] * 4
    second = [True] * 2 + [False] * 1 + [True] * 6 + [False] * 4
    result = exact_mcnemar(first, second)
    assert (result.both, result.first_only, result.second_only, result.neither) == (2, 1, 6, 4)
    assert result.p_value == pytest.approx(2 * (comb(7, 0) + comb(7, 1)) / 2**7)
    assert exact_mcnemar(first, first).p_value == 1.0


def test_holm_as_in_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_pass_at_k_is_unbiased() -> None:
    rate, tries, k = 0.3, 8, 4
    correct = np.random.default_rng(0).binomial(tries, rate, 20_000)
    assert pass_at_k(tries, correct, k).mean() == pytest.approx(1 - (1 - rate) ** k, abs=0.005)
    assert pass_at_k([8, 8, 8], [0, 1, 8], 8) == pytest.approx([0, 1, 1])
    assert pass_at_k(5, 2, 2) == pytest.approx(1 - comb(3, 2) / comb(5, 2))
    with pytest.raises(ValueError, match="at least 8"):
        pass_at_k(4, 1, 8)


def test_answering_one_thing_always() -> None:
    mode = most_frequent_answer(["10", "5", "10", "7"])
    assert mode == "10"
    assert constant_accuracy(["10", "3", "10", "10"], mode) == 0.75


def test_the_mode_of_gsm8k_scores_what_the_design_says(data_dir: Path, real_data: bool) -> None:
    golds = {
        split: [
            json.loads(line)["answer"].split("#### ")[1].replace(",", "")
            for line in (data_dir / "gsm8k" / f"{split}.jsonl").read_text().splitlines()
        ]
        for split in ("train", "test")
    }
    accuracy = constant_accuracy(golds["test"], most_frequent_answer(golds["train"]))
    assert accuracy == pytest.approx(0.0265, abs=0.0001) if real_data else 0 <= accuracy < 0.5
