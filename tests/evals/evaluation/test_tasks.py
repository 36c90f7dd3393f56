"""Benchmarks become lighteval tasks: what is asked, what counts as gold, how completions are scored."""

import dataclasses
import json
import math

import pytest
import torch
from lighteval.models.abstract_model import LightevalModel
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import Doc, SamplingMethod

from mulfact.data_builders.problem_sets import math_problems
from mulfact.data_builders.problems.items import Benchmark, Item
from mulfact.errors import UserError
from mulfact.evals.evaluation.harness import Checkpoint
from mulfact.evals.evaluation.tasks import (
    FAMILIES,
    ExactMatch,
    GoldBits,
    gold_text,
    read_benchmarks,
    scored_gold,
    task_config,
)

PLAIN = Item("t-plain", "6*9=", "54", "arithmetic", operands=(6, 9), answer_rule="number")
DIRECT = Item("t-direct", "Question: What is 6*9?\nAnswer:", "54", "arithmetic", operands=(6, 9))
COT = Item("g-0", "Question: Six bags of nine?\nSolution:", "54", "gsm8k", solution="6*9 = <<6*9=54>>54.")
UNSOLVED = Item("s-0", "Question: Six bags of nine?\nSolution:", "54", "word_problem")


def benchmark(*items: Item, style: str = "direct") -> Benchmark:
    return Benchmark("bench", items[0].family, style, "test", "a test", list(items))


@pytest.fixture
def folder(tmp_path):
    rows = [json.dumps(dataclasses.asdict(item)) for item in (PLAIN, DIRECT)]
    (tmp_path / "table_9.jsonl").write_text("\n".join(rows))
    entry = {"family": "arithmetic", "items": 2, "source": "generated", "style": "direct", "description": "products"}
    (tmp_path / "manifest.json").write_text(json.dumps({"benchmarks": {"table_9": entry}}))
    return tmp_path


def change_entry(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["benchmarks"]["table_9"] |= changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_benchmarks_are_read_back_as_they_were_built(folder):
    (table,) = read_benchmarks(folder)
    assert (table.name, table.family, table.style) == ("table_9", "arithmetic", "direct")
    assert [item.prompt for item in table.items] == [PLAIN.prompt, DIRECT.prompt]
    assert list(table.items[0].operands) == [6, 9]


def test_a_missing_manifest_says_what_writes_it(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.json is missing: make benchmarks"):
        read_benchmarks(tmp_path)


def test_a_benchmark_cut_short_is_refused(folder):
    change_entry(folder, items=3)
    with pytest.raises(UserError, match=r"table_9\.jsonl holds 2 items, its manifest says 3"):
        read_benchmarks(folder)


def test_an_unknown_family_is_refused(folder):
    change_entry(folder, family="poetry")
    with pytest.raises(UserError, match=r"'poetry'; valid: gsm8k, arithmetic, word_problem"):
        read_benchmarks(folder)


def test_a_row_with_other_keys_is_refused_with_its_line(folder):
    (folder / "table_9.jsonl").write_text('{"id": "a", "question": "6*9?"}')
    with pytest.raises(UserError, match=r"table_9\.jsonl, line 1: not an item"):
        read_benchmarks(folder)


@pytest.mark.parametrize(
    ("item", "style", "expected"),
    [
        (PLAIN, "direct", "54"),
        (DIRECT, "direct", " #### 54"),
        (COT, "cot", " 6*9 = <<6*9=54>>54.\n#### 54"),
        (COT, "direct", " #### 54"),
        (UNSOLVED, "cot", None),
    ],
)
def test_gold_text_is_what_training_would_have_shown(item, style, expected):
    assert gold_text(item, style) == expected


def test_a_task_is_greedy_of_fixed_length_with_its_stop_sequences():
    config = task_config(benchmark(DIRECT), 24, ("\n",))
    assert config.generation_size == 24
    assert config.stop_sequence == ["\n"]  # a tuple would break lighteval, which adds it to a list
    assert config.num_fewshots == 0
    doc = config.prompt_function({"item": DIRECT}, "bench")
    assert doc.query == DIRECT.prompt
    assert doc.choices == [" 54"]  # " ####" is given: it is the same in every item


def test_the_gold_completion_is_scored_only_where_it_is_known():
    def kinds(*items, style):
        return {metric.category for metric in task_config(benchmark(*items, style=style), 24, []).metrics}

    assert kinds(COT, style="cot") == {SamplingMethod.GENERATIVE, SamplingMethod.LOGPROBS}
    assert kinds(UNSOLVED, style="cot") == {SamplingMethod.GENERATIVE}


@pytest.mark.parametrize(
    ("item", "text", "verdicts"),
    [
        (DIRECT, " #### 54", (True, True, True)),
        (DIRECT, " #### 55", (False, False, False)),
        (DIRECT, " so 54", (False, False, True)),
        (PLAIN, "54", (True, True, True)),
        (PLAIN, "54 apples", (True, False, True)),
    ],
)
def test_the_verdicts_follow_the_rule_of_the_item(item, text, verdicts):
    doc = Doc(query=item.prompt, choices=["unused"], gold_index=0, specific={"item": item})
    scores = ExactMatch().compute(doc, ModelResponse(text=[text]))
    assert tuple(scores.values()) == verdicts


def test_the_numeric_items_of_math_become_a_task(tmp_path):
    rows = [
        {"problem": "What is $6 \\cdot 9$?", "solution": "It is $\\boxed{54}$.", "level": "Level 1"},
        {"problem": "Halve 1.", "solution": "$\\boxed{\\frac{1}{2}}$", "level": "Level 1"},
    ]
    (tmp_path / "math.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = math_problems.math(str(tmp_path / "math.jsonl"), [1, 2, 3])
    assert built.family in FAMILIES
    config = task_config(built, 160, ["\nQuestion:"])
    doc = config.prompt_function({"item": built.items[0]}, built.name)
    assert doc.query == "Question: What is $6 \\cdot 9$?\nSolution:"
    assert [item.answer for item in built.items] == ["54"]
    assert tuple(ExactMatch().compute(doc, ModelResponse(text=[" 6*9=54\n#### 54"])).values()) == (True, True, True)


def test_gold_bits_are_per_character():
    gold = scored_gold(DIRECT, "direct")
    doc = Doc(query="", choices=[gold.scored], gold_index=0, specific={"item": DIRECT, "gold": gold})
    response = ModelResponse(logprobs=[-16 * math.log(2)])
    assert GoldBits().compute(doc, response) == pytest.approx(8.0)  # the answer has two characters


def test_importing_lighteval_leaves_gradients_on():
    assert issubclass(Checkpoint, LightevalModel)
    assert torch.is_grad_enabled()
