"""Differences as results.json has them: items of one fact stand for one."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from compared_experiment import arguments_for, load, write_compared
from run_folders import write_json_folder

from mulfact.data_builders.problem_sets.fact_probes import fact_probe
from mulfact.evals.comparison.estimates import MEANS, accuracies, differences, limits_of, matrix, units_of
from mulfact.evals.comparison.results import trivial_baselines
from mulfact.evals.comparison.runs import Run
from mulfact.evals.comparison.significance import estimate_difference, estimate_mean


def test_both_orders_of_a_fact_are_one_unit_and_an_item_without_operands_is_its_own() -> None:
    rows = [("t", "b", [9, 6]), ("t", "a", [6, 9]), ("t", "c", [5, 5]), ("t", "d", None), ("other", "e", [6, 9])]
    table = pd.DataFrame(rows, columns=["task", "item_id", "operands"])
    runs = {("facts", 0): Run("facts", 0, Path("."), {}, {"sft": table}, {}, {})}
    assert units_of(runs, "sft", "t") == ["6x9", "6x9", "5x5", "d"]


def test_the_table_is_told_by_fact_and_the_problems_by_item(tmp_path: Path) -> None:
    arguments = write_compared(tmp_path)
    runs = load(arguments)
    assert 1 < len(set(units_of(runs, "sft", "table_9"))) < 60
    assert len(set(units_of(runs, "sft", "gsm8k_cot"))) == 60
    told = {(entry["stage"], entry["task"]): entry for entry in differences(arguments, runs, {}, set())}
    means = {(entry["condition"], entry["task"]): entry for entry in accuracies(arguments, runs)}
    for task, by_fact in (("table_9", True), ("gsm8k_cot", False)):
        plain, facts = (matrix(runs, arm, arguments.seeds, "sft", task, "correct") for arm in ("plain", "facts"))
        units = units_of(runs, "sft", task)
        estimate = estimate_difference(plain, facts, 0.95, units=units)
        entry = told["sft", task]
        assert not entry["seeds_paired"]
        assert entry["interval"] == pytest.approx([estimate.low, estimate.high])
        assert (estimate == estimate_difference(plain, facts, 0.95)) != by_fact
        mean = estimate_mean(plain, 0.95, units)
        assert means["plain", task]["interval"] == pytest.approx([mean.low, mean.high])
        assert entry["items"] == means["plain", task]["items"] == 60


@pytest.mark.parametrize(("known", "limit"), [(4, "floor"), (5, None), (76, None), (77, "ceiling")])
@pytest.mark.parametrize("task", ["table_9", "table_9_words", "table_9_plain", "boxes"])
def test_a_phrasing_that_no_arm_or_every_arm_knows_is_at_its_limit(
    tmp_path: Path, task: str, known: int, limit: str | None
) -> None:
    """The commonest product of 1-9 is the answer to 4 of the 81, and 77 of them are just above 95%."""
    items = fact_probe(task).items
    rows = [
        {"task": task, "family": item.family, "item_id": item.id, "gold": item.answer, "correct": number < known,
         "operands": item.operands, "gold_bits_per_character": 1.0, **dict.fromkeys(MEANS.values(), 0.0)}
        for number, item in enumerate(items)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    runs = {(arm, 0): Run(arm, 0, tmp_path, {}, {"sft": table}, {}, {}) for arm in ("plain", "facts")}
    arguments = replace(arguments_for(tmp_path, ["plain", "facts"], [0]), primary_stage="sft")
    write_json_folder(tmp_path / "posttrain", "manifest.json", {"most_frequent_answers": {"gsm8k": "999"}})
    constants = trivial_baselines(arguments, runs, {task: {"source": "generated"}})
    found = limits_of(accuracies(arguments, runs), constants, arguments.ceiling)
    assert found == ({} if limit is None else {("sft", task): limit})
