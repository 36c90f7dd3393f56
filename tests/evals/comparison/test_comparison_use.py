"""The 2x2 of use inside each checkpoint: what is lost, its interval, McNemar's table, its change."""

from dataclasses import replace
from pathlib import Path

import pytest
from compared_experiment import Runs, arguments_for, load, write_compared

from mulfact.evals.comparison.use import use


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Runs]:
    folder = tmp_path_factory.mktemp("experiment")
    return folder, load(write_compared(folder))


def entries(experiment: tuple[Path, Runs], runs: Runs | None = None, seeds: tuple[int, ...] = (0, 1, 2)) -> dict:
    folder, loaded = experiment
    arguments = arguments_for(folder / "pilot", ["plain", "facts"], list(seeds))
    found = use(arguments, runs or loaded, runs or loaded)
    return {(e["condition"], e["stage"], e["task"]): e for e in found}


def loss(entry: dict, without: str) -> dict:
    return next(one for one in entry["losses"] if one["without"] == without)


def test_there_is_an_entry_for_each_arm_stage_and_task_that_was_asked(experiment: tuple[Path, Runs]) -> None:
    assert entries(experiment).keys() == {
        (arm, stage, "gsm8k_cot") for arm in ("plain", "facts") for stage in ("sft", "grpo")
    }


def test_a_loss_is_paired_by_item_with_mcnemar_and_interval(experiment: tuple[Path, Runs]) -> None:
    _, runs = experiment
    entry = entries(experiment)["facts", "grpo", "gsm8k_cot"]
    table = runs["facts", 0].use["grpo"]
    right = {cell: set(rows.loc[rows["correct"], "item_id"]) for cell, rows in table.groupby(["prompts", "tokens"])}
    ordinary, without = right["rewritten", "allowed"], right["rewritten", "suppressed"]
    assert ordinary > without
    counts = loss(entry, "tokens")["mcnemar"]["0"]
    assert (counts["both"], counts["only_ordinary"], counts["only_restricted"], counts["neither"]) == (
        len(without), len(ordinary - without), 0, 60 - len(ordinary),
    )  # fmt: skip
    assert counts["p_value"] < 0.01
    low, high = loss(entry, "tokens")["interval"]
    assert low < loss(entry, "tokens")["difference"] < high < 0
    by_seed = {tuple(c[k] for k in ("prompts", "tokens")): c["seeds"]["0"] for c in entry["cells"]}
    assert by_seed["rewritten", "suppressed"] == pytest.approx(len(without) / 60)


def test_what_costs_nothing_is_exactly_nothing(experiment: tuple[Path, Runs]) -> None:
    entry = entries(experiment)["facts", "grpo", "gsm8k_cot"]
    assert loss(entry, "rewriting")["difference"] == 0.0
    assert loss(entry, "both")["difference"] == loss(entry, "tokens")["difference"]


def test_the_change_of_a_loss_is_told_from_the_second_stage_on(experiment: tuple[Path, Runs]) -> None:
    _, loaded = experiment
    assert loss(entries(experiment)["facts", "sft", "gsm8k_cot"], "tokens")["change"] is None
    assert loss(entries(experiment)["facts", "grpo", "gsm8k_cot"], "tokens")["change"]["difference"] == 0.0

    def without_loss(table):  # after SFT nothing is lost without tokens, so RL is what leans on them
        ordinary = table[(table["prompts"] == "rewritten") & (table["tokens"] == "allowed")]
        return table.assign(correct=table["item_id"].map(ordinary.set_index("item_id")["correct"]))

    runs = {key: replace(run, use=run.use | {"sft": without_loss(run.use["sft"])}) for key, run in loaded.items()}
    entry = loss(entries(experiment, runs)["facts", "grpo", "gsm8k_cot"], "tokens")
    assert entry["change"]["difference"] == entry["difference"]
    assert entry["change"]["interval"][1] < 0


def test_one_seed_is_enough(experiment: tuple[Path, Runs]) -> None:
    entry = loss(entries(experiment, seeds=(1,))["facts", "grpo", "gsm8k_cot"], "tokens")
    assert entry["interval"][1] < 0
