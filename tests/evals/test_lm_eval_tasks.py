"""Tasks for lm-evaluation-harness: what our evaluation asks, they ask; and what is said when the two disagree."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from evaluation_run import BENCHMARKS, recipe, write_benchmarks

from mulfact.errors import UserError
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.evals.evaluation.tasks import VERDICTS
from mulfact.evals.lm_eval_agreement import check, compare, read_samples
from mulfact.evals.lm_eval_tasks import write_tasks


class Loader(yaml.SafeLoader):
    """Reads the names of functions as they stand."""


Loader.add_constructor("!function", lambda loader, node: node.value)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    write_benchmarks(tmp_path / "benchmarks", BENCHMARKS)
    names = write_tasks(EvalArguments(**recipe(tmp_path)), tmp_path / "lm_eval")
    assert names == [f"mulfact_{name}" for name in BENCHMARKS]
    return tmp_path / "lm_eval"


def test_every_benchmark_is_asked_as_our_evaluation_asks_it(tasks: Path) -> None:
    for name, items in BENCHMARKS.items():
        task = yaml.load((tasks / f"mulfact_{name}.yaml").read_text(), Loader=Loader)
        rows = [
            json.loads(line) for line in Path(task["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
        ]
        assert [row["prompt"] for row in rows] == [item.prompt for item in items]
        cot = name in ("gsm8k_cot", "svamp")
        assert task["generation_kwargs"] == {
            "until": ["\nQuestion:"] if cot else ["\n"], "max_gen_toks": 40 if cot else 12, "do_sample": False,
        }  # fmt: skip
        assert (task["doc_to_text"], task["num_fewshot"]) == ("{{prompt}}", 0)
        assert [metric["metric"] for metric in task["metric_list"]] == list(VERDICTS)


def test_completions_are_graded_by_the_rule_of_their_row(tasks: Path) -> None:
    reference = yaml.load((tasks / "mulfact_table_9.yaml").read_text(), Loader=Loader)["process_results"]
    module, function = reference.split(".")
    spec = importlib.util.spec_from_file_location(module, tasks / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    grade = getattr(loaded, function)
    assert grade({"answer": "54", "answer_rule": "number"}, ["54 is it"])["correct"] == 1.0
    assert grade({"answer": "54", "answer_rule": "gsm8k"}, ["54 is it"])["correct"] == 0.0
    assert grade({"answer": "1000", "answer_rule": "gsm8k"}, [" #### 1,000"]) == dict.fromkeys(VERDICTS, 1.0)


# ---------------------------------------------------------------- do the harnesses agree?


def items(texts: list[str], correct: list[bool]) -> pd.DataFrame:
    rows = [
        {"item_id": f"t-{n}", "text": text} | dict.fromkeys(VERDICTS, verdict)
        for n, (text, verdict) in enumerate(zip(texts, correct, strict=True))
    ]
    return pd.DataFrame(rows)


def test_samples_of_lm_eval_are_read_and_compared(tmp_path: Path) -> None:
    ours = items(["a", "b", "c"], [True, False, True])
    samples: list[dict[str, Any]] = [
        {"doc": {"id": row["item_id"]}, "resps": [[row["text"]]]} | {name: float(row[name]) for name in VERDICTS}
        for row in ours.to_dict("records")
    ]
    samples.reverse()
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "samples_mulfact_t_2026-11-28T01-02-03.jsonl"
    path.write_text("".join(json.dumps(sample) + "\n" for sample in samples))
    row = compare("t", ours, read_samples(tmp_path, "mulfact_t"))
    assert row == {"task": "t", "items": 3, "same": 3, "graded": 3, "ours": 2, "theirs": 2}
    check([row])
    with pytest.raises(UserError, match="no samples of mulfact_u"):
        read_samples(tmp_path, "mulfact_u")


def test_a_harness_that_grades_or_generates_otherwise_is_named() -> None:
    ours = items(["a"] * 300, [True] * 300)
    with pytest.raises(UserError, match="grade the same completion differently in t"):
        check([compare("t", ours, items(["a"] * 300, [True] * 299 + [False]))])
    check([compare("t", ours, items(["a"] * 298 + ["b"] * 2, [True] * 298 + [False] * 2))])  # ties
    with pytest.raises(UserError, match="more than one completion in a hundred differs in t"):
        check([compare("t", ours, items(["a"] * 290 + ["b"] * 10, [True] * 300))])
    with pytest.raises(UserError, match="300 items here, 2 in lm_eval"):
        compare("t", ours, items(["a"] * 2, [True] * 2))
