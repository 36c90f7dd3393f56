"""How facts are used, and measures other than accuracy."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from recipe_defaults import defaults
from scipy import stats

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.outcomes import error_examples, solved_share
from mulfact.evals.comparison.runs import Run
from mulfact.evals.comparison.secondary import fact_use, measures, spelling
from mulfact.provenance import write_json

ARGUMENTS = CompareArguments(**defaults("compare", conditions=["plain", "facts"], reference="plain", seeds=[0, 1]))


def make_run(folder: Path, condition: str, seed: int, rows: list[dict[str, Any]]) -> Run:
    (folder / "grpo_final").mkdir(parents=True)
    names = [(a, b) for a in range(1, 10) for b in range(1, 10)]
    facts = [{"token": f"<MUL_{a}_{b}>", "operands": [a, b], "text": f"{a}*{b}"} for a, b in names]
    write_json(folder / "grpo_final" / "facts.json", {"fact_tokens": facts})
    defaults = {"task": "gsm8k_cot", "family": "gsm8k", "correct": True, "fact_tokens": [], "generated_tokens": 10,
                "gold_bits_per_character": 1.0, "prompt": "p", "gold": "1", "text": "t", "extracted": "1",
                "error_class": None, "facts": None, "operations": None, "operands": None}  # fmt: skip
    table = pd.DataFrame([{**defaults, **row} for row in rows])
    predictions = dict.fromkeys(("pretrain", "sft", "grpo"), table)
    recipe = {"reward_funcs": ["a.b.exact_match"], "num_generations": 2}
    return Run(condition, seed, folder, {}, predictions, {"grpo": {"recipe": recipe}}, {})


@pytest.fixture
def runs(tmp_path: Path) -> dict[tuple[str, int], Run]:
    """Two arms, two seeds; the second arm writes shorter, and uses a right and a wrong fact."""
    plain = [{"item_id": "a", "generated_tokens": 12}, {"item_id": "b", "generated_tokens": 14, "correct": False,
                                                         "error_class": "format"}]  # fmt: skip
    facts = [
        {"item_id": "a", "fact_tokens": ["<MUL_9_6>", "<MUL_1_2>"], "facts": [[6, 9]]},
        {"item_id": "b", "correct": False, "error_class": "reasoning", "generated_tokens": 12},
    ]
    return {
        (name, seed): make_run(tmp_path / name / str(seed), name, seed, rows)
        for name, rows in (("plain", plain), ("facts", facts))
        for seed in (0, 1)
    }


def test_fact_use_counts_right_and_wrong_facts(runs: dict[tuple[str, int], Run]) -> None:
    entries = fact_use(runs)
    assert {entry["condition"] for entry in entries} == {"facts"}
    assert len(entries) == 3
    entry = entries[0]
    assert (entry["share_of_completions"], entry["tokens_per_completion"], entry["right"]) == (0.5, 1.0, 0.5)


def test_facts_of_an_item_whose_calculation_is_not_known_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    run = make_run(tmp_path, "facts", 0, [{"item_id": "a", "fact_tokens": ["<MUL_9_6>"]}])
    assert fact_use({("facts", 0): run})[0]["right"] is None


def test_facts_above_nine_are_right_where_they_are_called_for(tmp_path: Path) -> None:
    run = make_run(tmp_path, "facts_20", 0, [{"item_id": "a", "fact_tokens": ["<MUL_15_12>"], "facts": [[12, 15]]}])
    fact = {"token": "<MUL_15_12>", "operands": [15, 12], "text": "15*12"}
    write_json(run.folder / "grpo_final" / "facts.json", {"fact_tokens": [fact]})
    assert fact_use({("facts_20", 0): run})[0]["right"] == 1.0


def test_tokens_that_stand_for_no_product_are_neither_right_nor_wrong(tmp_path: Path) -> None:
    run = make_run(tmp_path, "placebo", 0, [{"item_id": "a", "fact_tokens": ["<PAIR_1>"], "facts": [[6, 9]]}])
    write_json(run.folder / "grpo_final" / "facts.json", {"fact_tokens": [{"token": "<PAIR_1>", "operands": None}]})
    assert fact_use({("placebo", 0): run})[0]["right"] is None


def test_measures_are_paired_with_the_reference(runs: dict[tuple[str, int], Run]) -> None:
    curves = [
        {"condition": name, "seed": seed, "points": [{"bits_per_byte": 9.0}, {"bits_per_byte": bits + 0.01 * seed}]}
        for name, bits in (("plain", 0.5), ("facts", 0.4))
        for seed in (0, 1)
    ]
    curves[3]["points"][-1]["bits_per_byte"] += 0.02
    entries = {(entry["measure"], entry["condition"]): entry for entry in measures(ARGUMENTS, runs, curves)}
    assert entries["bits_per_byte", "plain"]["difference"] is None
    bits = entries["bits_per_byte", "facts"]
    assert bits["difference"] == pytest.approx(-0.09)
    welch = stats.ttest_ind([0.4, 0.43], [0.5, 0.51], equal_var=False).confidence_interval(0.95)
    assert bits["interval"] == pytest.approx([welch.low, welch.high])
    assert entries["generated_tokens", "facts"]["difference"] == -2.0
    assert ("bits_per_byte_fact_free", "facts") not in entries


def test_what_is_gone_on_canonical_text_was_spelling(runs: dict[tuple[str, int], Run]) -> None:
    last = {"plain": {"bits_per_byte": 0.50, "canonical_bits_per_byte": 0.44},
            "facts": {"bits_per_byte": 0.40, "canonical_bits_per_byte": 0.36}}  # fmt: skip
    curves = [{"condition": name, "seed": seed, "points": [last[name]]} for name in last for seed in (0, 1)]
    (entry,) = spelling(ARGUMENTS, measures(ARGUMENTS, runs, curves))
    assert entry["condition"] == "facts"
    assert entry["gap"] == pytest.approx(-0.10)
    assert entry["canonical_gap"] == pytest.approx(-0.08)
    assert entry["share"] == pytest.approx(0.2)


@pytest.mark.parametrize("canonical", [0.30, 0.48])
def test_no_share_is_told_of_a_gap_that_grows_or_turns_round(
    runs: dict[tuple[str, int], Run], canonical: float
) -> None:
    """A smoke run said that 1782.9% of its gap was spelling."""
    last = {"plain": {"bits_per_byte": 0.50, "canonical_bits_per_byte": 0.44},
            "facts": {"bits_per_byte": 0.49, "canonical_bits_per_byte": canonical}}  # fmt: skip
    curves = [{"condition": name, "seed": seed, "points": [last[name]]} for name in last for seed in (0, 1)]
    (entry,) = spelling(ARGUMENTS, measures(ARGUMENTS, runs, curves))
    assert entry["share"] is None


def test_bits_per_byte_of_one_seed_have_no_interval(runs: dict[tuple[str, int], Run]) -> None:
    arguments = replace(ARGUMENTS, seeds=[0])
    curves = [{"condition": c, "seed": 0, "points": [{"bits_per_byte": 0.5}]} for c in ("plain", "facts")]
    entries = [entry for entry in measures(arguments, runs, curves) if entry["measure"] == "bits_per_byte"]
    assert [entry["interval"] for entry in entries] == [None, None]


def test_error_examples_are_of_every_class_and_arm(runs: dict[tuple[str, int], Run]) -> None:
    found = error_examples(runs, "gsm8k_cot", "grpo")
    assert [(entry["condition"], entry["error_class"], entry["item_id"]) for entry in found] == [
        ("plain", "format", "b"),
        ("facts", "reasoning", "b"),
    ]


@pytest.mark.parametrize("prompts", [["p", "p", "q", "q"], [None] * 4], ids=["written", "recorded"])
def test_a_prompt_is_solved_when_one_of_its_rollouts_is(
    runs: dict[tuple[str, int], Run], prompts: list[str | None]
) -> None:
    run = runs["facts", 0]
    folder = run.folder / "grpo_final" / "completions"
    folder.mkdir()
    for step, rewards in ((1, [0, 0, 0, 0]), (2, [0, 1, 0, 0])):
        table = pd.DataFrame({"step": step, "prompt": prompts, "exact_match": [float(r) for r in rewards]})
        table.to_parquet(folder / f"completions_{step:05d}.parquet")
    assert solved_share(run) == {1: 0.0, 2: 0.5}
