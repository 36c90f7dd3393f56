"""The benchmarks stage: rows of one form, unique ids, an honest manifest."""

import json
import subprocess
import sys
from hashlib import sha256

import datasets
import pytest
import reasoning_gym_stand_in
import yaml
from recipe_defaults import defaults

from mulfact.data_builders import benchmarks
from mulfact.data_builders.benchmarks import check_ids
from mulfact.data_builders.contamination.held_out import problem_is_held_out
from mulfact.data_builders.problems.items import BENCHMARKS, Benchmark, Item, text_id
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.errors import UserError
from mulfact.evals.grading.answers import grade

KEYS = {"id", "prompt", "answer", "solution", "operands", "family", "answer_rule", "operations", "facts"}


@pytest.fixture
def run(tmp_path, monkeypatch):
    def call(**settings):
        config = tmp_path / "recipe.yaml"
        settings = {"output_dir": str(tmp_path / "out"), "probe_items": 10, **settings}
        config.write_text(yaml.safe_dump(defaults("benchmarks", **settings)))
        monkeypatch.setattr(sys, "argv", ["benchmarks", "--config", str(config)])
        benchmarks.main()
        manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())["benchmarks"]
        rows = {name: [row for _, row in read_jsonl(tmp_path / "out" / f"{name}.jsonl")] for name in manifest}
        return manifest, rows

    return call


def check_rows(manifest, rows):
    ids = [row["id"] for content in rows.values() for row in content]
    assert len(ids) == len(set(ids))
    for name, content in rows.items():
        assert manifest[name]["items"] == len(content)
        for row in content:
            assert set(row) == KEYS
            assert row["family"] == manifest[name]["family"]
            plain = row["answer_rule"] == "number"
            gold = row["answer"] if plain else f"{row['solution'] or ''}\n#### {row['answer']}"
            assert grade(gold, row["answer"], row["answer_rule"]).correct
            assert plain or row["prompt"].endswith(("\nAnswer:", "\nSolution:"))


def test_without_any_data(run):
    manifest, rows = run(synthetic_problems=30)
    check_rows(manifest, rows)
    assert list(manifest) == list(BENCHMARKS[:14])
    assert [row["solution"] for row in rows["gsm8k_cot"]] == [row["solution"] for row in rows["gsm8k_direct"]]
    questions = [row["prompt"].removeprefix("Question: ").removesuffix("\nSolution:") for row in rows["gsm8k_cot"]]
    assert len(set(questions)) == 30
    assert all(map(problem_is_held_out, questions))


def test_with_everything(run, data_dir, real_data, tmp_path, monkeypatch):
    reasoning_gym_stand_in.install(monkeypatch)
    problem = {"problem": "What is $6 \\cdot 9$?", "level": "Level 1", "solution": "It is $\\boxed{54}$."}
    (tmp_path / "math.jsonl").write_text(json.dumps(problem) + "\n")
    manifest, rows = run(
        math=str(tmp_path / "math.jsonl"),
        gsm8k=str(data_dir / "gsm8k"),
        svamp=str(data_dir / "svamp" / "SVAMP.json"),
        multiarith=str(data_dir / "multiarith" / "MultiArith.json"),
        asdiv=str(data_dir / "asdiv" / "ASDiv.xml"),
        reasoning_gym=["products", "chain_sum", "gsm_symbolic"],
    )
    check_rows(manifest, rows)
    assert set(manifest) == set(BENCHMARKS)
    assert rows["gsm8k_cot"][7]["id"] == "gsm8k_cot-0007"
    if real_data:
        assert {name: entry["items"] for name, entry in manifest.items() if entry["family"] != "arithmetic"} == {
            "gsm8k_direct": 1319,
            "gsm8k_cot": 1319,
            "svamp": 1000,
            "multiarith": 600,
            "asdiv": 2084,
            "math": 1,
            "rg_gsm_symbolic": 10,
        }


def test_the_folder_is_a_data_set_with_a_card(run, tmp_path):
    _, rows = run(synthetic_problems=10)
    folder, cache = str(tmp_path / "out"), str(tmp_path / "cache")
    assert datasets.get_dataset_config_names(folder) == list(rows)
    for name in ("gsm8k_cot", "table_9"):
        loaded = datasets.load_dataset(folder, name, split="test", cache_dir=cache)
        assert loaded["prompt"] == [row["prompt"] for row in rows[name]]
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\n")
    assert "| table_9 | arithmetic | 81 | 6*9: all 81 products of 1-9" in card
    assert sha256((tmp_path / "out" / "table_9.jsonl").read_bytes()).hexdigest() in card
    assert "| generated | mit |" in card


def test_the_same_settings_give_the_same_bytes(run):
    assert run(synthetic_problems=10, seed=5) == run(synthetic_problems=10, seed=5)
    assert run(synthetic_problems=10, seed=5)[1]["mixed"] != run(synthetic_problems=10, seed=6)[1]["mixed"]


def test_text_ids_depend_on_the_words_alone():
    assert (
        text_id("svamp", "How  many\napples?") == text_id("svamp", "How many apples?") != text_id("svamp", "How many?")
    )


def test_an_id_that_stands_twice_is_refused():
    item = Item("a", "p", "1", "arithmetic")
    with pytest.raises(UserError, match="1 ids stand more than once, such as a"):
        check_ids([Benchmark("x", "arithmetic", "direct", "s", "d", [item, item])])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gsm8k": "{tmp}/nowhere"}, "error: gsm8k={tmp}/nowhere: no such folder"),
        ({"svamp": "{tmp}/nowhere.json"}, "error: {tmp}/nowhere.json does not exist"),
        ({"probe_item": 3}, "unknown key 'probe_item'; did you mean 'probe_items'?"),
        ({"synthetic_problems": 10**6, "synthetic_max_steps": 0}, "error: word problems of 1 to 0 steps"),
    ],
)
def test_the_command_ends_without_a_traceback_on_bad_input(tmp_path, repository, settings, message):
    config = tmp_path / "benchmarks.yaml"
    filled = {key: value.format(tmp=tmp_path) if isinstance(value, str) else value for key, value in settings.items()}
    config.write_text(yaml.safe_dump(defaults("benchmarks", output_dir=str(tmp_path / "out"), **filled)))
    command = [sys.executable, "data_builders/benchmarks.py", "--config", str(config)]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True)
    assert ended.returncode == 1
    assert message.format(tmp=tmp_path) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "out").exists()
