"""What may be concluded: every rule, on results that trigger it and on results that do not."""

from typing import Any

import pytest
from fabricated_results import fabricate

from mulfact.evals.comparison.conclusion import conclude


def results_with(seeds: int = 3, arms: tuple[str, ...] = ("baseline", "mulfact"), **primary: Any) -> dict[str, Any]:
    """Return results without any decided difference but the primary one, whose fields are replaced."""
    results = fabricate(list(arms), list(range(seeds)))
    for row in [*results["differences"], *results["contrasts"]]:
        row.update(difference=0.0, interval=[-0.02, 0.02], p_holm=1.0 if row["role"] != "descriptive" else None)
        if row["primary"] and row["condition"] == arms[1]:
            row.update(primary)
    for row in results["contrasts"]:
        row["primary"] = False
    return results


def texts(results: dict[str, Any]) -> tuple[str, str, str]:
    conclusion = conclude(results)
    return conclusion["headline"], " ".join(conclusion["may_conclude"]), " ".join(conclusion["may_not_conclude"])


FOUND = {"difference": 0.03, "interval": [0.01, 0.05], "p_holm": 0.004}


def test_a_decided_difference_is_concluded() -> None:
    headline, may, may_not = texts(results_with(**FOUND))
    assert headline.startswith("mulfact scored +3.0 points against baseline on items, after GRPO")
    assert "95% interval +1.0 to +5.0; 200 items, 3 seeds" in headline
    assert "mulfact scored +3.0 points" in may
    assert "equal on gsm8k_cot" not in may_not


def test_a_loss_is_concluded_as_well() -> None:
    _, may, _ = texts(results_with(difference=-0.03, interval=[-0.05, -0.01], p_holm=0.004))
    assert "mulfact scored −3.0 points" in may


def test_no_difference_is_never_called_equality() -> None:
    headline, may, may_not = texts(results_with())
    assert "no difference is shown" in headline
    assert "scored" not in may
    assert (
        "are equal on gsm8k_cot: a true difference of 5.7 points would have been missed once in five times, a smaller "
        "one more often"
    ) in may_not


def test_an_interval_that_excludes_zero_is_not_enough_among_many_arms() -> None:
    headline, may, may_not = texts(
        results_with(arms=("baseline", "mulfact", "placebo"), difference=0.03, interval=[0.001, 0.05], p_holm=0.08)
    )
    assert headline == (
        "Against baseline on items, after GRPO (200 items, 3 seeds), 95% intervals: "
        "mulfact +3.0 points (+0.1 to +5.0; not significant among 2 arms), "
        "placebo 0.0 points (−2.0 to +2.0; no difference is shown)."
    )
    assert "mulfact scored" not in may
    assert "after correction for 2 arms p is 0.08" in may_not


def test_fewer_seeds_than_the_protocol_asks_for_decide_nothing() -> None:
    headline, may, may_not = texts(results_with(seeds=1, **FOUND))
    assert headline.startswith("Exploratory. ")
    assert "For these runs alone: mulfact scored" in may
    assert "1 seed says too little" in may_not


def test_runs_under_another_text_of_the_protocol_decide_nothing() -> None:
    results = results_with(**FOUND)
    results["exploratory"], results["protocol"]["preregistered"] = True, False
    headline, may, may_not = texts(results)
    assert headline.startswith("Exploratory. ")
    assert "For these runs alone: mulfact scored" in may
    assert "not every stage is known to have run under the protocol's text" in may_not
    assert "too little about how much results vary" not in may_not


def test_the_items_are_those_that_were_evaluated() -> None:
    results = results_with(arms=("baseline", "mulfact", "placebo"), **FOUND)
    for row in results["differences"]:
        row["items"] = 9
    headline, may, _ = texts(results)
    assert "(9 items, 3 seeds)" in headline
    assert "; 9 items, 3 seeds)" in may


def test_without_a_control_the_reason_stays_open() -> None:
    _, _, may_not = texts(results_with(**FOUND))
    assert "no arm with as many other tokens was compared" in may_not


@pytest.mark.parametrize("decided", [True, False])
def test_a_control_decides_whether_the_tokens_are_the_reason(decided: bool) -> None:
    results = results_with(arms=("baseline", "mulfact", "placebo"), **FOUND)
    if decided:
        results["contrasts"][0].update(FOUND)
    _, may, may_not = texts(results)
    assert ("mulfact scored +3.0 points against placebo" in may) == decided
    assert ("mulfact scored 0.0 points against placebo" in may_not) == (not decided)
    assert ("stand for: it is not shown against placebo" in may_not) == (not decided)


def test_a_variant_of_the_facts_is_no_control() -> None:
    results = results_with(arms=("baseline", "mulfact", "mulfact_strict"), **FOUND)
    _, _, may_not = texts(results)
    assert "mulfact scored 0.0 points against mulfact_strict" in may_not
    assert "no arm with as many other tokens was compared" in may_not


def test_a_control_that_is_better_takes_the_reason_away() -> None:
    results = results_with(arms=("baseline", "mulfact", "placebo"), **FOUND)
    results["contrasts"][0].update(difference=-0.03, interval=[-0.05, -0.01], p_holm=0.004)
    _, may, may_not = texts(results)
    assert "mulfact scored −3.0 points against placebo" in may
    assert "stand for: it is not shown against placebo" in may_not


GRID = ("baseline", "mulfact", "mulfact_strict", "mulfact_20", "placebo")


def grid_with(found: tuple[str, ...], arms: tuple[str, ...] = GRID) -> dict[str, Any]:
    """Return results in which the arms in `found` differ from the reference."""
    results = results_with(arms=arms)
    for row in results["differences"]:
        if row["primary"] and row["condition"] in found:
            row.update(FOUND)
    return results


def test_why_a_variant_differs_stays_open() -> None:
    _, may, may_not = texts(grid_with(("mulfact", "mulfact_strict", "mulfact_20")))
    assert "mulfact_strict scored +3.0 points" in may
    assert (
        "Why mulfact_strict and mulfact_20 scored differently from baseline: only mulfact was compared with an arm "
        "whose tokens stand for no fact."
    ) in may_not
    assert "Extra tokens alone" not in may


def test_why_a_variant_differs_stays_open_without_a_control_and_without_the_treatment() -> None:
    _, _, may_not = texts(grid_with(("mulfact_strict",), GRID[:3]))
    assert (
        "Why mulfact_strict scored differently from baseline: only mulfact was compared with the other arms." in may_not
    )
    assert "Why " not in texts(grid_with(("mulfact",)))[2]


def test_a_placebo_that_differs_from_the_reference_is_explained() -> None:
    _, may, may_not = texts(grid_with(("placebo",)))
    assert (
        "Extra tokens alone can make a difference: those of placebo stand for no fact, and the score is not that of "
        "baseline."
    ) in may
    assert "Why " not in may_not


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
    assert "on items, after SFT (95% interval" in headline
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
