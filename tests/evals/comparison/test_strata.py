"""Strata: the same items in every arm, the small and the whole left out, and the primary of a synthetic set."""

from pathlib import Path
from typing import Any

import pandas as pd

from mulfact.data_builders.problems.items import BENCHMARKS
from mulfact.evals.comparison.runs import Run
from mulfact.evals.comparison.strata import (
    DESCRIPTIVE,
    describe_strata,
    facts_of,
    primary_of,
    secondary_tasks,
    with_strata,
)

FACT = {"facts": [[6, 9]], "operations": ["add", "multiply"]}
LARGE = {"facts": [[12, 15]], "operations": ["multiply"]}
SUM = {"facts": [], "operations": ["add"]}
UNKNOWN = {"facts": None, "operations": None}


def run_with(kinds: list[dict[str, Any]]) -> dict[tuple[str, int], Run]:
    rows = [{"task": "t", "item_id": f"i{n:03d}", "correct": True, **kind} for n, kind in enumerate(kinds)]
    tables = {stage: pd.DataFrame(rows) for stage in ("sft", "grpo")}
    return {("facts", 0): Run("facts", 0, Path("."), {}, tables, {}, {})}


def sizes(runs: dict[tuple[str, int], Run], stage: str) -> dict[str, int]:
    return {str(task): int(count) for task, count in runs["facts", 0].predictions[stage]["task"].value_counts().items()}


def test_each_task_is_divided_by_facts_and_by_operations() -> None:
    runs = with_strata(run_with([FACT] * 20 + [LARGE] * 25 + [SUM] * 30), "grpo")
    assert sizes(runs, "grpo") == {
        "t": 75, "t_facts": 20, "t_no_facts": 55, "t_add": 50, "t_multiply": 45,
    }  # fmt: skip
    assert sizes(runs, "sft") == {"t": 75, "t_facts": 20}  # before the primary stage, the facts alone
    described = describe_strata({"t": {"items": 75, "description": "problems", "source": "synthetic"}}, runs, "grpo")
    assert list(described) == ["t", "t_facts", "t_no_facts", "t_add", "t_multiply"]
    assert (described["t_facts"]["items"], described["t_facts"]["stratum_of"]) == (20, "t")
    assert described["t_facts"]["description"] == "problems: items whose solution uses a fact of 1-9"
    assert described["t"]["stratum_of"] is None
    assert primary_of("t", described) == "t_facts"


def test_a_part_that_is_small_or_the_whole_is_none() -> None:
    runs = run_with([FACT] * 30 + [SUM] * 19)
    assert sizes(with_strata(runs, "grpo"), "grpo") == {"t": 49, "t_facts": 30, "t_multiply": 30}
    runs = run_with([UNKNOWN] * 40)
    assert sizes(with_strata(runs, "grpo"), "grpo") == {"t": 40}
    described = describe_strata({"t": {"items": 40, "description": "problems", "source": "synthetic"}}, runs, "grpo")
    assert primary_of("t", described) == "t"


def test_published_problems_keep_their_whole_as_the_primary() -> None:
    assert primary_of("t", {"t": {"source": "openai/gsm8k"}, "t_facts": {}}) == "t"


def test_only_operands_up_to_nine_make_an_item_fact_bearing() -> None:
    assert facts_of([[6, 9], [3, 12]]) == {(6, 9)}
    assert facts_of([[6, 9], [3, 12]], 20) == {(6, 9), (3, 12)}


def test_the_plain_prompt_and_optional_probes_are_described_and_every_other_phrasing_tested() -> None:
    tasks = {name: {"family": "arithmetic", "source": "generated", "stratum_of": None} for name in BENCHMARKS}
    tasks["rg_products"]["source"] = "reasoning-gym 0.1.25"
    parts = {"table_20_facts": {"family": "arithmetic", "source": "generated", "stratum_of": "table_20"}}
    assert DESCRIPTIVE == ("table_9_plain",)
    assert set(tasks) - secondary_tasks(tasks | parts) == {"table_9_plain", "rg_products"}
    assert "table_20_facts" not in secondary_tasks(tasks | parts)
