"""Products against sums: only what is particular to an arm's own facts is left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from compared_experiment import arguments_for

from mulfact.data_builders.problem_sets.fact_probes import fact_probe
from mulfact.evals.comparison.interaction import interactions
from mulfact.evals.comparison.runs import Run
from mulfact.layout import output_of
from mulfact.provenance import write_json
from mulfact.tokenizers.facts import Facts, FactSettings

ARMS = {"plain": None, "products": "multiply", "sums": "add"}
SEEDS = [0, 1, 2]


def write_runs(folder: Path, known: dict[str, tuple[int, int]], tasks: tuple[str, ...] = ("table_9", "sums_9")) -> Any:
    """Return runs in which each arm knows so many products and sums of 81, the same in each seed but for one."""
    runs = {}
    for arm, operation in ARMS.items():
        for seed in SEEDS:
            run = folder / arm / f"seed-{seed}"
            output_of(run, "sft").mkdir(parents=True)
            settings = FactSettings(mode="weak", operation=operation) if operation else FactSettings()
            facts = Facts(settings.mode, 384, 300, tuple(settings.facts()) if operation else (), settings)
            write_json(output_of(run, "sft") / "facts.json", facts.to_json())
            rows = [
                {"task": task, "family": "arithmetic", "item_id": item.id, "operands": item.operands,
                 "correct": number < right + seed - 1}
                for task, right in zip(tasks, known[arm], strict=True)
                for number, item in enumerate(fact_probe(task).items)
            ]  # fmt: skip
            runs[arm, seed] = Run(arm, seed, run, {}, {"sft": pd.DataFrame(rows)}, {}, {})
    return runs


def test_the_lead_on_products_counts_beyond_the_lead_on_sums(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, {"plain": (40, 40), "products": (70, 50), "sums": (60, 60)})
    arguments = replace(arguments_for(tmp_path, list(ARMS), SEEDS), primary_stage="sft")
    (found,) = interactions(arguments, runs, {("sft", "sums_9"): "floor", ("sft", "boxes"): "floor"})
    assert (found["condition"], found["reference"], found["items"]) == ("products", "sums", 81)
    assert found["difference"] == pytest.approx(((70 - 60) - (50 - 60)) / 81)
    assert found["interval"][0] < found["difference"] < found["interval"][1]
    assert found["accuracy"]["sums"] == pytest.approx({"table_9": 60 / 81, "sums_9": 60 / 81})
    assert np.mean(list(found["seeds"].values())) == pytest.approx(found["difference"])
    assert found["limits"] == {"sums_9": "floor"}


def test_what_an_arm_does_to_all_arithmetic_is_no_interaction(tmp_path: Path) -> None:
    runs = write_runs(tmp_path, {"plain": (40, 40), "products": (70, 70), "sums": (50, 50)}, ("product_of", "sum_of"))
    arguments = replace(arguments_for(tmp_path, list(ARMS), SEEDS), primary_stage="sft")
    (found,) = interactions(arguments, runs, {})
    assert found["products"] == "product_of"
    assert found["difference"] == pytest.approx(0.0)


@pytest.mark.parametrize(("arms", "tasks"), [
    (["plain", "products"], ("table_9", "sums_9")),  # no arm of sums
    (["plain", "sums"], ("table_9", "sums_9")),  # no tokens for products
    (["sums", "products", "plain"], ("table_9", "boxes")),  # no sums are asked
])  # fmt: skip
def test_without_its_parts_there_is_none(tmp_path: Path, arms: list[str], tasks: tuple[str, str]) -> None:
    runs = write_runs(tmp_path, dict.fromkeys(ARMS, (40, 40)), tasks)
    assert interactions(replace(arguments_for(tmp_path, arms, SEEDS), primary_stage="sft"), runs, {}) == []
