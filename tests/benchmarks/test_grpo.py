"""What a GRPO update costs: each way of generating has a row, and one that is not here says so in a line."""

import json
import sys
from pathlib import Path

import evaluation_run
import pytest
import yaml
from recipe_defaults import defaults

from mulfact.benchmarks import evaluation_speed, grpo
from mulfact.errors import UserError


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny run with a checkpoint, benchmarks and prompts."""
    folder = tmp_path_factory.mktemp("run")
    evaluation_run.write_run(folder)
    (folder / "prompts").mkdir()
    rows = [{"prompt": f"Question: {n} bags of 9?\nAnswer:", "answer": str(9 * n)} for n in range(1, 9)]
    for split in ("train", "validation"):
        (folder / "prompts" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def recipe(run: Path, model: str = "sft_final") -> Path:
    changes = {
        "output_dir": str(run / "training"), "model_name_or_path": str(run / model),
        "dataset_name": str(run / "prompts"),
        "num_generations": 2, "per_device_train_batch_size": 4, "max_completion_length": 6, "seed": 0, "data_seed": 0,
        "project": "test", "run_name": "test",
        "env": {"MULFACT_FACTS": str(run / model / "facts.json"), "MULFACT_STOP_SEQUENCES": '["\\n"]'},
    }  # fmt: skip
    path = run / f"{model}.yaml"
    path.write_text(yaml.safe_dump(defaults("grpo", **changes)))
    return path


def test_every_way_of_generating_has_a_row(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ways = {name: grpo.GENERATION[name] for name in ("the recipe", "vLLM, colocated")}
    monkeypatch.setattr(grpo, "GENERATION", ways)
    words = ["grpo.py", "--recipe", str(recipe(run)), "--updates", "1", "--generation_only"]
    monkeypatch.setattr(sys, "argv", words)
    grpo.main()
    header, first, vllm = [line for line in capsys.readouterr().out.splitlines() if "  " in line][-3:]
    assert header.split() == list(grpo.COLUMNS)
    assert first.startswith("the recipe ")
    assert first.split()[-1] == "100%"  # it samples what itself samples
    assert float(first.split()[2]) > 0
    assert vllm.split("  ")[-1].strip() == "not measured: UserError: vllm is not installed; TRL 1.16 takes 0.22 to 0.31"


def test_the_same_rollouts_are_trained_in_micro_batches_of_other_sizes(run: Path) -> None:
    rows = grpo.rows(recipe(run), generation_only=False)
    assert set(grpo.GENERATION) < set(rows)
    assert rows["micro-batches of 2"] == {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    assert grpo.rows(recipe(run), generation_only=True) == grpo.GENERATION


def test_without_an_sft_checkpoint_it_says_what_to_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["grpo.py", "--recipe", str(recipe(run, "missing"))])
    with pytest.raises(SystemExit, match="missing does not exist: run make sft first"):
        grpo.main()
    with pytest.raises(UserError, match="vllm is not installed"):
        grpo.run(recipe(run), {"use_vllm": True})


def test_the_evaluation_of_an_untrained_model_is_timed(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--use_cpu --n_layer 1 --n_embd 32 --cot_tokens 8 --max_samples 1 --batch_size 8"
    words = ["--benchmarks", str(run / "benchmarks"), "--tokenizer", str(run / "tokenizer"), *options.split()]
    monkeypatch.setattr(sys, "argv", ["evaluation_speed.py", *words])
    evaluation_speed.main()
    assert "M parameters, 4 items: " in capsys.readouterr().out
