"""What may be concluded: every rule, on results that trigger it and on results that do not."""

from typing import Any

import pytest
from fabricated_results import fabricate

from mulfact.evals.comparison.conclusion import conclude
from mulfact.evals.comparison.controls import equivalent


def results_with(seeds: int = 3, arms: tuple[str, ...] = ("baseline", "mulfact"), **primary: Any) -> dict[str, Any]:
    """Return results without any decided difference but the tested arm's primary one, whose fields are replaced."""
    results = fabricate(list(arms), list(range(seeds)))
    for row in [*results["differences"], *results["contrasts"]]:
        row.update(difference=0.0, interval=[-0.02, 0.02], p_adjusted=None if row["role"] == "descriptive" else 1.0)
        if row["role"] == "primary":
            row.update(primary)
    return results


def texts(results: dict[str, Any]) -> tuple[str, str, str]:
    conclusion = conclude(results)
    return conclusion["headline"], " ".join(conclusion["may_conclude"]), " ".join(conclusion["may_not_conclude"])


FOUND = {"difference": 0.03, "interval": [0.01, 0.05], "p_adjusted": 0.004}
OTHER_WAY = {"difference": -0.03, "interval": [-0.05, -0.01], "p_adjusted": 0.004}


def test_a_decided_difference_is_concluded() -> None:
    headline, may, may_not = texts(results_with(**FOUND))
    assert headline == (
        "mulfact +3.0 points against baseline (95% interval +1.0 to +5.0). "
        "Outcome: items, after GRPO (200 items, 3 seeds)."
    )
    assert "mulfact scored +3.0 points against baseline on items, after GRPO (95% interval +1.0 to +5.0; " in may
    assert "equal on gsm8k_cot" not in may_not


def test_a_loss_is_concluded_as_well() -> None:
    _, may, _ = texts(results_with(**OTHER_WAY))
    assert "mulfact scored −3.0 points" in may


def test_no_difference_is_never_called_equality() -> None:
    headline, may, may_not = texts(results_with())
    assert "no difference is shown" in headline
    assert "scored" not in may
    assert (
        "are equal on gsm8k_cot: a true difference of 5.7 points would have been missed once in five times, a smaller "
        "one more often. By what 3 seeds can tell of the variance, that may as well be 3.0 or 12.0."
    ) in may_not


@pytest.mark.parametrize(
    ("limit", "why"),
    [("floor", "no arm is better than the best constant answer"), ("ceiling", "every arm is above 95%")],
)
def test_an_outcome_at_its_floor_or_ceiling_tells_nothing(limit: str, why: str) -> None:
    results = results_with(**FOUND)
    for row in results["differences"]:
        if row["task"] in ("gsm8k_cot", "mixed"):
            row["limit"] = limit
    headline, may, may_not = texts(results)
    assert f"the outcome is at its {limit} and tells nothing" in headline
    assert "scored" not in may
    assert "equal on gsm8k_cot" not in may_not
    assert f"Anything from gsm8k_cot, mixed: {why}, so they cannot tell arms apart." in may_not


def test_why_a_report_is_exploratory_is_told_and_it_decides_nothing() -> None:
    results = results_with(seeds=1, **FOUND)
    results["protocol"]["exploratory_because"] = ["one seed", "a look before the end"]
    headline, may, may_not = texts(results)
    assert headline.startswith("Exploratory. ")
    assert "For these runs alone: mulfact scored" in may
    assert "fixed beforehand; this report is exploratory: one seed; a look before the end." in may_not


def test_the_items_are_those_that_were_evaluated() -> None:
    results = results_with(**FOUND)
    for row in results["differences"]:
        row["items"] = 9
    headline, may, _ = texts(results)
    assert "(9 items, 3 seeds)" in headline
    assert "; 9 items, 3 seeds)" in may


SEQUENCE = ("baseline", "mulfact", "canonical", "sums")


def sequence_with(**steps: dict[str, Any]) -> dict[str, Any]:
    """Return results with a decided primary outcome and, of the arms after it, what `steps` say."""
    results = results_with(arms=SEQUENCE, **FOUND)
    results["attribution"] = {"canonical": "one spelling", "sums": "any tokens"}
    for row in results["contrasts"]:
        row.update(steps.get(row["reference"], {}))
    return results


def test_an_effect_is_put_down_to_the_facts_where_all_arms_of_the_sequence_differ_from_it() -> None:
    _, may, may_not = texts(sequence_with(canonical=FOUND, sums=FOUND))
    assert "against canonical on items, after GRPO (95% interval +1.0 to +5.0; 200 items, 3 seeds): the effect " in may
    assert "does not come from one spelling alone" in may
    assert (
        "The effect is put down to the tokens of mulfact and what they stand for: it differs in the same direction "
        "from baseline, canonical and sums."
    ) in may
    assert "That the effect comes from" not in may_not


def test_each_weaker_case_has_its_own_sentence() -> None:
    seen = {"difference": 0.03, "interval": [0.01, 0.05], "p_adjusted": 0.3}
    cases = {
        "no difference to sums is shown, so it may come from any tokens": {"canonical": FOUND},
        "no difference to canonical is shown, so it may come from one spelling": {"sums": seen},
        "the fixed sequence had ended before sums was tested, so it may come from any tokens": {"sums": seen},
        "the other way round than against baseline, so it may come from any tokens": {
            "canonical": FOUND, "sums": OTHER_WAY,
        },
    }  # fmt: skip
    for sentence, steps in cases.items():
        _, may, may_not = texts(sequence_with(**steps))
        assert sentence in may_not
        assert "The effect is put down" not in may
        assert ("does not come from one spelling alone" in may) == ("canonical" in steps)


def test_an_arm_of_the_sequence_that_was_not_run_leaves_the_reason_open() -> None:
    results = sequence_with(canonical=FOUND)
    results["contrasts"] = results["contrasts"][:1]
    _, may, may_not = texts(results)
    assert "sums was not run, so it may come from any tokens" in may_not
    assert "The effect is put down" not in may


def test_without_a_decided_difference_nothing_is_said_of_its_reason() -> None:
    results = sequence_with(canonical=FOUND, sums=FOUND)
    for row in results["differences"]:
        if row["role"] == "primary":
            row.update(difference=0.0, interval=[-0.02, 0.02], p_adjusted=0.9)
    _, may, may_not = texts(results)
    assert "put down to" not in may
    assert "comes from what the tokens stand for" not in may_not


def test_variants_count_behind_the_sequence() -> None:
    results = results_with(arms=("baseline", "mulfact", "mulfact_strict"), **FOUND)
    (row,) = [row for row in results["differences"] if row["role"] == "variant"]
    row.update(FOUND)
    headline, may, may_not = texts(results)
    assert "(95% interval +1.0 to +5.0), mulfact_strict +3.0 points (+1.0 to +5.0)." in headline
    assert "mulfact_strict scored +3.0 points" in may
    assert "Why mulfact_strict scored differently from baseline: the fixed sequence holds mulfact alone" in may_not
    row.update(p_adjusted=0.08)
    headline, may, may_not = texts(results)
    assert "mulfact_strict +3.0 points (+1.0 to +5.0; not decided)" in headline
    assert "mulfact_strict scored" not in may
    assert "it counts only behind the fixed sequence, and p is 0.08 after correction" in may_not


def test_without_a_declared_control_no_compute_is_named() -> None:
    assert "no declared control was run" in texts(results_with(**FOUND))[2]


def test_an_effect_is_told_as_training() -> None:
    equal = {"share": 0.12, "interval": [0.05, 0.31], "extrapolated": True}
    results = results_with(**FOUND, equivalent_compute=equal)
    results["controls"]["runs"] = {"baseline_more": {"arm": "baseline", "training": 1.1, "tasks": {}}}
    assert (
        "mulfact: the difference to baseline on gsm8k_cot is as much as 12% more training (+5% to +31%, beyond what "
        "the controls span)."
    ) in texts(results)[1]
    results = results_with(**FOUND)
    results["controls"]["runs"] = {"baseline_more": {"arm": "baseline", "training": 1.1, "tasks": {}}}
    assert "the declared controls do not show that more steps raise gsm8k_cot" in texts(results)[2]


def test_an_interval_of_training_that_has_no_end_names_none() -> None:
    slope = (0.3, 0.144, 22)  # just shown to rise, as a single control with few seeds may have it
    equal = equivalent({"difference": 0.07, "standard_error": 0.01}, slope, 0.95, [0.9])
    results = results_with(**FOUND, equivalent_compute=equal)
    results["controls"]["runs"] = {"baseline_less": {"arm": "baseline", "training": 0.9, "tasks": {}}}
    assert "as much as 26% more training (+11% and more, without a bound, beyond what" in texts(results)[1]


def test_descriptive_outcomes_are_never_concluded() -> None:
    results = results_with()
    for row in results["differences"]:
        if row["role"] == "descriptive":
            row.update(difference=0.3, interval=[0.2, 0.4])
    _, may, _ = texts(results)
    assert "scored" not in may


def test_a_decided_secondary_outcome_is_named_as_one() -> None:
    results = results_with()
    row = next(row for row in results["differences"] if row["role"] == "secondary" and row["task"] == "svamp")
    row.update(FOUND)
    _, may, _ = texts(results)
    assert "As secondary outcomes, mulfact scored against baseline: +3.0 points on svamp (+1.0 to +5.0)." in may


def test_an_arm_that_spends_more_in_grpo_is_not_called_equal_in_cost() -> None:
    results = results_with()
    spent = {"baseline": {"0": 100.0, "1": 100.0}, "mulfact": {"0": 104.0, "1": 102.0}}
    results["ledger"]["reported"]["grpo"]["flops_spent"] = spent
    _, may, may_not = texts(results)
    assert (
        "the same compute in pretraining and SFT, and the same budget in GRPO, as many rollouts of the same greatest "
        "length: every matched field"
    ) in may
    assert "its rollouts took +3.0% FLOPs" in may_not
    spent["mulfact"] = {"0": 90.0, "1": 100.5}
    assert "rollouts took" not in texts(results)[2]


def test_without_grpo_nothing_is_said_about_it() -> None:
    results = fabricate(["baseline", "mulfact"], [0, 1, 2], gated=True)
    headline, may, may_not = texts(results)
    assert "Outcome: items, after SFT (" in headline
    assert "Anything about GRPO: its gate stopped at least one run" in may_not
    assert "GRPO" not in headline + may
    assert "the same compute in pretraining and SFT: every matched field" in may
    assert "Anything about GRPO" not in texts(results_with())[2]


def test_synthetic_problems_say_nothing_about_gsm8k() -> None:
    results = results_with()
    assert "Anything about GSM8K" not in texts(results)[2]
    results["benchmarks"]["gsm8k_cot"]["source"] = "synthetic"
    assert "Anything about GSM8K: gsm8k_cot hold synthetic problems" in texts(results)[2]


@pytest.mark.parametrize(
    ("shares", "told"),
    [((0.04, 0.01), "4.0% (baseline), 1.0% (mulfact) of the items"), ((0.03, 0.0), ""), ((None, None), "")],
)
def test_a_length_limit_that_cuts_gold_completions_is_told(
    shares: tuple[float | None, float | None], told: str
) -> None:
    results = results_with(**FOUND)
    for arm, share in zip(("baseline", "mulfact"), shares, strict=True):
        results["gold_over_budget"][arm] = {"gsm8k_cot": share}
    may_not = texts(results)[2]
    assert ("That the length limit of gsm8k_cot played no part" in may_not) == bool(told)
    assert told in may_not


def with_control(results: dict[str, Any], difference: float, interval: list[float]) -> dict[str, Any]:
    less = {
        "arm": "baseline",
        "training": 0.9,
        "tasks": {"gsm8k_cot": {"difference": difference, "interval": interval}},
    }
    results["controls"]["runs"] = {"baseline_less": less}
    return results


def test_what_the_outcome_can_see_is_told_where_the_sequence_ended_before_it() -> None:
    results = with_control(results_with(arms=("baseline", "mulfact", "canonical", "digits")), -0.03, [-0.05, -0.01])
    row = next(row for row in results["differences"] if row["primary"] and row["condition"] == "digits")
    row.update(difference=0.2, interval=[0.17, 0.23], p_adjusted=0.7)
    _, may, may_not = texts(results)
    assert (
        "What gsm8k_cot can see (by 95% intervals, uncorrected and no test): it tells digits from baseline: +20.0 "
        "(+17.0 to +23.0), baseline_less (−10% training) from baseline: −3.0 (−5.0 to −1.0)."
    ) in may
    assert "it does not tell canonical from baseline: 0.0 (−2.0 to +2.0)." in may_not
    results = with_control(results_with(arms=("baseline", "mulfact", "digits")), 0.0, [-0.02, 0.02])
    _, may, may_not = texts(results)
    assert "can see" not in may
    assert "it does not tell digits from baseline: 0.0 (−2.0 to +2.0), baseline_less (−10% training) from" in may_not


def test_a_difference_that_does_not_count_is_worth_nothing_in_training() -> None:
    results = with_control(results_with(arms=("baseline", "mulfact", "digits")), -0.03, [-0.05, -0.01])
    row = next(row for row in results["differences"] if row["primary"] and row["condition"] == "digits")
    row.update(FOUND, equivalent_compute={"share": 0.12, "interval": [0.05, 0.31], "extrapolated": True})
    assert "digits: the difference to baseline on gsm8k_cot is as much as" in texts(results)[1]
    row.update(p_adjusted=0.7)
    assert "is as much as" not in texts(results)[1]
