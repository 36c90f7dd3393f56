"""Results for the Hub's leaderboards: GSM8K's own test split alone goes by its name."""

import json
from pathlib import Path

import pytest
import yaml
from hub_metadata import file_errors
from huggingface_hub import parse_eval_result_entries

from mulfact.data_builders.problem_sets.gsm8k import load_problems
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.release import eval_results
from mulfact.release.eval_results import is_gsm8k, write_eval_results

ROWS = [{"task": "gsm8k_cot", "items": 40, "seeds": {"0": 0.1234567, "1": 0.2}}, {"task": "table_9", "items": 81}]


def write_benchmark(folder: Path, data_dir: Path) -> Path:
    """Write the chain-of-thought benchmark of the test split as the benchmarks stage does."""
    folder.mkdir(exist_ok=True)
    prompts = [format_prompt(problem.question, "cot") for problem in load_problems(str(data_dir / "gsm8k"), "test")]
    path = folder / "gsm8k_cot.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def test_gsm8k_is_known_by_its_questions(tmp_path: Path, data_dir: Path, real_data: bool) -> None:
    path = write_benchmark(tmp_path, data_dir)
    assert is_gsm8k(path) == real_data, "small files of the same form are not GSM8K"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert not is_gsm8k(path), "a part of it is not"
    assert not is_gsm8k(tmp_path / "missing.jsonl")


@pytest.fixture
def items(tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The number of questions of a benchmark in tmp_path that counts as GSM8K."""
    path = write_benchmark(tmp_path, data_dir)
    monkeypatch.setattr(eval_results, "is_gsm8k", lambda found: found == path)
    return len(path.read_text().splitlines())


def test_the_value_is_the_accuracy_of_this_seed_in_percent(tmp_path: Path, items: int) -> None:
    write_eval_results(tmp_path, tmp_path, [ROWS[0] | {"items": items}, ROWS[1]], 0, "someone/report")
    text = (tmp_path / ".eval_results" / "gsm8k.yaml").read_text()
    assert file_errors(".eval_results/gsm8k.yaml", text) == []
    (entry,) = parse_eval_result_entries(yaml.safe_load(text))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("openai/gsm8k", "gsm8k", 12.35)
    assert entry.source_url == "https://huggingface.co/datasets/someone/report"


@pytest.mark.parametrize("rows", [[], ROWS[1:], [ROWS[0] | {"items": 7}]], ids=["nothing", "other", "a sample"])
def test_no_other_number_is_called_gsm8k(tmp_path: Path, items: int, rows: list) -> None:
    write_eval_results(tmp_path, tmp_path, rows, 0, "someone/report")
    assert not (tmp_path / ".eval_results").exists()
