"""Post-training rows: their form, their split, their counts, and what is refused."""

import json
import re
import subprocess
import sys
from collections import Counter

import datasets
import pytest
import yaml
from recipe_defaults import defaults

from mulfact.data_builders import benchmarks, posttrain
from mulfact.data_builders.posttrain import PosttrainArguments, arithmetic_rows, most_frequent_answer, split_problems
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.problems.prompts import extract_answer, format_completion, format_prompt, question_of
from mulfact.errors import UserError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a stage in this process with these settings, and return its output folder."""

    def call(module, **settings):
        name = module.__name__.rpartition(".")[2]
        settings = defaults(name, **{"output_dir": str(tmp_path / name)} | settings)
        config = tmp_path / "recipe.yaml"
        config.write_text(yaml.safe_dump(settings))
        monkeypatch.setattr(sys, "argv", ["stage", "--config", str(config)])
        module.main()
        return tmp_path / module.__name__.rpartition(".")[2]

    return call


@pytest.fixture
def bench(run):
    return run(benchmarks, synthetic_problems=20, probe_items=5)


def small(bench, **settings):
    return {
        "benchmarks": str(bench),
        "synthetic_problems": 300,
        "arithmetic_rows": 100,
        "validation_rows": 20,
        "development_prompts": 30,
        "allow_overlap": ["gsm8k_direct", "gsm8k_cot"],
        **settings,
    }


def rows_of(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").open()]


def test_the_two_forms():
    assert format_prompt("How many?", "cot") == "Question: How many?\nSolution:"
    assert format_prompt("How many?", "direct") == "Question: How many?\nAnswer:"
    assert format_completion("6*9=<<6*9=54>>54", "54", "cot") == " 6*9=<<6*9=54>>54\n#### 54"
    assert format_completion("6*9=<<6*9=54>>54", "54", "direct") == " #### 54"
    assert question_of(format_prompt("Two\nlines?", "cot")) == "Two\nlines?"


def test_rows_of_the_generator(run, bench, capsys):
    folder = run(posttrain, **small(bench))
    train, validation = rows_of(folder, "sft/train"), rows_of(folder, "sft/validation")
    assert [len(rows_of(folder, name)) for name in ("grpo/train", "grpo/validation")] == [270, 30]
    assert (len(train), len(validation)) == (270 + 100, 20)
    assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == sorted(
        ["train.jsonl", "validation.jsonl"] * 2 + ["README.md", "manifest.json", "provenance.json"]
    )
    for row in train:
        assert set(row) == {"prompt", "completion"}
        assert row["prompt"] == row["prompt"].rstrip()
        assert row["completion"].startswith(" ")
        assert extract_answer(row["completion"]) is not None
    direct = [row for row in train if row["prompt"].endswith("\nAnswer:")]
    assert len(direct) == round(0.3 * 270) + 100
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["rows"]["sft/train"]["direct"] == len(direct)
    assert manifest["problems"]["training"] == 270


def test_nothing_held_out_is_trained_on(run, bench):
    folder = run(posttrain, **small(bench, grpo_max_steps=1))
    trained = {question_of(row["prompt"]) for name in ("sft/train", "grpo/train") for row in rows_of(folder, name)}
    held_out = {
        question_of(row["prompt"]) for name in ("sft/validation", "grpo/validation") for row in rows_of(folder, name)
    }
    benchmark = {question_of(row["prompt"]) for row in rows_of(bench, "gsm8k_cot")}
    assert not trained & held_out
    assert not trained & benchmark


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_split(run, bench, tmp_path):
    names = ("sft/train", "grpo/train", "grpo/validation")
    first = {name: (run(posttrain, **small(bench)) / f"{name}.jsonl").read_bytes() for name in names}
    again = {name: (run(posttrain, **small(bench)) / f"{name}.jsonl").read_bytes() for name in names}
    other = {name: (run(posttrain, **small(bench, seed=1)) / f"{name}.jsonl").read_bytes() for name in names}
    assert first == again
    assert all(first[name] != other[name] for name in names)


def test_real_gsm8k(run, data_dir, real_data):
    bench = run(benchmarks, gsm8k=str(data_dir / "gsm8k"), probe_items=5)
    folder = run(
        posttrain,
        **small(
            bench, gsm8k=str(data_dir / "gsm8k"), development_prompts=10, allow_overlap=["gsm8k_cot", "gsm8k_direct"]
        ),
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    total = 7473 if real_data else 120
    assert manifest["problems"] == {
        "read": total,
        "longer_than_max_characters": 0,
        "sft_validation": 20,
        "development": 10,
        "training": total - 20,
    }
    if real_data:
        assert manifest["overlap"]["benchmarks"]["gsm8k_cot"]["overlapping_items"] == 3
        assert manifest["overlap"]["near_duplicates"] == []
    assert not any("," in row["answer"] for row in rows_of(folder, "grpo/train"))
    for row in rows_of(folder, "sft/train"):
        assert row["completion"].count("####") == 1


def test_synthetic_problems_join_those_of_gsm8k_everywhere(run, bench, data_dir):
    settings = {"gsm8k": str(data_dir / "gsm8k"), "added_synthetic": 80, "synthetic_max_operand": 30}
    folder = run(posttrain, **small(bench, **settings))
    manifest = json.loads((folder / "manifest.json").read_text())
    lines = (data_dir / "gsm8k" / "train.jsonl").read_text().splitlines()
    real = {json.loads(line)["question"].strip() for line in lines}
    assert manifest["added_synthetic"] == 80
    assert manifest["problems"]["read"] == len(lines) + 80
    prompts = rows_of(folder, "grpo/train") + rows_of(folder, "grpo/validation")
    synthetic = [row for row in prompts if question_of(row["prompt"]) not in real]
    assert [row["source"] for row in synthetic] == ["synthetic"] * 80
    assert {row["source"] for row in prompts if question_of(row["prompt"]) in real} == {"gsm8k"}
    assert any(int(number) > 9 for row in synthetic for number in re.findall("[0-9]+", row["prompt"]))
    assert "GSM8K" in (folder / "README.md").read_text()
    assert "synthetic" in (folder / "README.md").read_text()


def test_the_most_frequent_answer_is_that_of_a_whole_source(run, bench, data_dir, real_data):
    """What is left out of the rows, here the longer problems, does not change it."""
    settings = {"gsm8k": str(data_dir / "gsm8k"), "added_synthetic": 80, "max_characters": 340, "grpo_max_steps": 2}
    folder = run(posttrain, **small(bench, **settings))
    told = json.loads((folder / "manifest.json").read_text())["most_frequent_answers"]
    assert told.keys() == {"gsm8k", "synthetic"}
    lines = (data_dir / "gsm8k" / "train.jsonl").read_text().splitlines()
    golds = [json.loads(line)["answer"].split("#### ")[1].replace(",", "") for line in lines]
    assert told["gsm8k"] == most_frequent_answer(golds)
    if real_data:
        assert told["gsm8k"] == "4"
        assert most_frequent_answer(row["answer"] for row in rows_of(folder, "grpo/train")) != "4"


def test_overlap_is_an_error_unless_allowed_by_name(run, data_dir, real_data, bench):
    """Synthetic problems come from templates, so a small training set shares 13 words with some item."""
    with pytest.raises(SystemExit, match=r"share 13 consecutive words .* in posttrain.allow_overlap"):
        run(posttrain, **small(bench, synthetic_problems=3000, allow_overlap=[]))
    assert not (bench.parent / "posttrain" / "provenance.json").exists()


def test_load_dataset_reads_both_folders(run, bench, tmp_path):
    from datasets import load_dataset

    folder = run(posttrain, **small(bench))
    sft = load_dataset(str(folder / "sft"), cache_dir=str(tmp_path / "cache"))
    grpo = load_dataset(str(folder / "grpo"), cache_dir=str(tmp_path / "cache"))
    assert sft["train"].column_names == ["prompt", "completion"]
    assert grpo["validation"].column_names == ["prompt", "completion", "answer", "source"]


def test_the_folder_is_a_data_set_with_a_card(run, bench, tmp_path):
    folder = run(posttrain, **small(bench, development_prompts=0))
    cache = str(tmp_path / "cache")
    sft = datasets.load_dataset(str(folder), "sft", cache_dir=cache)
    assert {split: len(rows) for split, rows in sft.items()} == {
        split: len(rows_of(folder, f"sft/{split}")) for split in ("train", "validation")
    }
    grpo = datasets.load_dataset(str(folder), "grpo", cache_dir=cache)
    assert list(grpo) == ["train"]  # an empty split is none
    card = (folder / "README.md").read_text()
    assert f"| sft | train | {len(sft['train'])} |" in card
    assert "| synthetic | mit |" in card


def test_arithmetic_rows_ask_each_fact_and_phrasing_about_equally_often():
    rows = arithmetic_rows(243, seed=0)
    assert set(Counter(row["completion"] for row in rows)) == {
        f" #### {a * b}" for a in range(1, 10) for b in range(1, 10)
    }
    assert len({row["prompt"] for row in rows}) == 243
    assert all(row["prompt"].startswith("Question: What is ") and row["prompt"].endswith("?\nAnswer:") for row in rows)
    counts = Counter(row["prompt"] for row in arithmetic_rows(1000, seed=1))
    assert max(counts.values()) - min(counts.values()) <= 1
    for row in rows:
        a, sign, b = row["prompt"][len("Question: What is ") : -len("?\nAnswer:")].replace("*", " * ").split()
        assert sign in ("*", "×", "times")
        assert row["completion"] == f" #### {int(a) * int(b)}"


def problem(number, steps=1, solution="6*9=<<6*9=54>>54"):
    return Problem(f"Problem {number}?", solution, "54", steps)


def arguments(**settings):
    return PosttrainArguments(**defaults("posttrain", **settings))


def test_grpo_takes_problems_of_few_steps_and_long_ones_are_left_out_everywhere():
    everything = [problem(n, steps=1 + n % 3) for n in range(90)] + [problem(99, solution="x" * 500)]
    split = split_problems(
        everything, arguments(grpo_max_steps=2, max_characters=200, validation_rows=10, development_prompts=10)
    )
    assert split.too_long == 1
    assert {p.steps for p in split.grpo} == {p.steps for p in split.development} == {1, 2}
    assert {p.steps for p in split.training} == {1, 2, 3}
    assert all(len(p.solution) < 200 for p in (*split.training, *split.validation))
    assert len(split.training) + len(split.held_out()) == 90


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_characters": 10}, r"0 fit max_characters=10 .* no SFT row is left"),
        ({"validation_rows": 90}, r"validation_rows=90 .* no SFT row is left"),
        ({"grpo_max_steps": 0}, r"no GRPO prompt is left"),
        ({"development_prompts": 89, "grpo_max_steps": 1}, r"no GRPO prompt is left"),
    ],
)
def test_nothing_left_to_train_on_is_an_error(settings, message):
    with pytest.raises(UserError, match=message):
        split_problems(
            [problem(n, steps=1 + n % 3) for n in range(90)], arguments(**{"validation_rows": 5, **settings})
        )


def test_a_share_outside_0_to_1_is_refused():
    with pytest.raises(UserError, match="direct_fraction is 1.5"):
        arguments(direct_fraction=1.5)


def test_further_sets_join_the_sft_rows_only(run, bench, tmp_path):
    folder = tmp_path / "aug"
    folder.mkdir()
    question = "A very special crate holds 6 boxes with 9 pears. How many pears is that?"
    rows = [{"question": f"{question} {n}", "cot": "<<6*9=54>>", "answer": "54"} for n in range(5)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    built = run(posttrain, **small(bench, extra_sets=[{"source": str(folder), "rows": 4}]))
    added = [row for row in rows_of(built, "sft/train") if "very special crate" in row["prompt"]]
    assert len(added) == 4
    assert not any("very special crate" in row["prompt"] for row in rows_of(built, "grpo/train"))
    manifest = json.loads((built / "manifest.json").read_text())
    assert manifest["extra_sets"] == [{"source": str(folder), "rows": 4, "left_out": {}}]


def test_the_command_ends_without_a_traceback_on_bad_input(tmp_path, repository, bench):
    (tmp_path / "train.jsonl").write_text('{"question": "How many?", "answer": "54"}\n')
    config = tmp_path / "posttrain.yaml"
    config.write_text(
        yaml.safe_dump(
            defaults("posttrain", output_dir=str(tmp_path / "out"), gsm8k=str(tmp_path), benchmarks=str(bench))
        )
    )
    for command in (["data_builders/posttrain.py"], ["-m", "mulfact.data_builders.posttrain"]):
        ended = subprocess.run(
            [sys.executable, *command, "--config", str(config)], cwd=repository, capture_output=True, text=True
        )
        assert ended.returncode == 1
        assert ended.stderr.startswith(
            f"error: {tmp_path / 'train.jsonl'}, line 1: the answer has no line '#### <number>'"
        )
        assert not (tmp_path / "out").exists()
