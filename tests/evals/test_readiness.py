"""The gate before GRPO: what it measures, what it decides, and that nothing starts below it unless someone insists."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_tokenizers
import yaml
from recipe_defaults import defaults
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.evals import readiness
from mulfact.evals.readiness import ReadinessArguments, decide, of_the_primary_source
from mulfact.layout import READINESS, STOPPED
from mulfact.modeling import gate, trl_stage
from mulfact.modeling.posttraining.readiness_record import RECORD, check_ready, is_stopped, read_record


def arguments(**changes: object) -> ReadinessArguments:
    return ReadinessArguments(**defaults("readiness", **{"samples": 4, "threshold": 0.5, **changes}))


def test_the_record_counts_prompts_with_an_answer() -> None:
    rewards = np.array([[1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1]], float)
    record = decide(rewards, arguments())
    assert record["pass_at_1"] == pytest.approx(7 / 16)
    assert record["pass_at_k"] == pytest.approx(3 / 4)
    assert record["mixed_groups"] == pytest.approx(2 / 4)
    assert record["ready"]


@pytest.mark.parametrize(("threshold", "ready"), [(0.5, True), (0.51, False), (0.0, True), (1.0, False)])
def test_the_threshold_itself_is_enough(threshold: float, ready: bool) -> None:
    assert decide(np.array([[0, 1], [0, 0]], float), arguments(samples=2, threshold=threshold))["ready"] is ready


def test_problems_added_to_those_of_gsm8k_say_nothing_about_them() -> None:
    """An H100 saw synthetic problems solved at 97% open the gate for GSM8K's, solved at 1%."""
    rows = [{"source": name, "prompt": str(n)} for n, name in enumerate(["synthetic", "gsm8k", "synthetic", "gsm8k"])]
    assert [row["prompt"] for row in of_the_primary_source(rows)] == ["1", "3"]
    assert of_the_primary_source(rows[:1]) == rows[:1]


def test_groups_that_are_all_right_teach_as_little_as_those_all_wrong() -> None:
    record = decide(np.array([[1, 1], [1, 1], [1, 1], [0, 1]], float), arguments(samples=2, threshold=0.3))
    assert record["pass_at_k"] == 1
    assert not record["ready"]


@pytest.mark.parametrize("change", [{"prompts": 0}, {"samples": 0}, {"threshold": 1.5}])
def test_impossible_settings_are_refused(change: dict) -> None:
    with pytest.raises(UserError, match="expected at least one of each, and a share"):
        arguments(**change)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with an SFT checkpoint of random weights and three development prompts."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizers.build("weak"))
    config = GPT2Config(
        vocab_size=768, n_positions=64, n_embd=16, n_layer=1, n_head=1, pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id, bos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    for folder in (tmp_path / "sft_final", tmp_path / "posttrain"):
        folder.mkdir()
        (folder / "provenance.json").write_text("{}")
    model.save_pretrained(tmp_path / "sft_final")
    tokenizer.save_pretrained(tmp_path / "sft_final")
    (tmp_path / "posttrain/grpo").mkdir()
    rows = [{"prompt": f"Question: What is {n} × 9?\nAnswer:", "answer": str(9 * n)} for n in (6, 7, 18)]
    (tmp_path / "posttrain/grpo/validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def measure(run: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Run the command on `run` and return the folder it wrote."""
    monkeypatch.setattr(readiness, "stage_output", without_hashes)

    def call(name: str, *flags: str) -> Path:
        settings = defaults(
            "readiness", output_dir=str(run / name), model_name_or_path=str(run / "sft_final"),
            dataset_name=str(run / "posttrain/grpo"), max_completion_length=8, samples=3, use_cpu=True,
        )  # fmt: skip
        recipe = run / "readiness.yaml"
        recipe.write_text(yaml.safe_dump(settings))
        command = ["readiness.py", "--config", recipe, *flags]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        readiness.main()
        return run / name

    return call


def without_hashes(output_dir: str, recipe: object, inputs: list) -> object:
    from mulfact.provenance import stage_output

    return stage_output(output_dir, recipe)


def test_the_same_seed_measures_the_same_and_keeps_every_completion(measure: Callable[..., Path]) -> None:
    first, again, other = measure("first"), measure("again", "--batch_size", "9"), measure("other", "--seed", "1")
    texts = [(folder / "completions.jsonl").read_text() for folder in (first, again, other)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    rows = [json.loads(line) for line in texts[0].splitlines()]
    assert [row["answer"] for row in rows] == ["54", "63", "162"]
    assert all(len(row["completions"]) == len(row["rewards"]) == 3 for row in rows)
    assert read_record(first)["prompts"] == 3


def test_an_answer_behind_a_stop_sequence_is_not_one(
    measure: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [" #### 54\nQuestion: more", "\nQuestion: more\nSolution: #### 54", " #### 54"]
    monkeypatch.setattr(readiness, "sample", lambda arguments, prompts: [texts] * len(prompts))
    rows = [
        json.loads(line) for line in (measure("cut", "--prompts", "1") / "completions.jsonl").read_text().splitlines()
    ]
    assert [row["rewards"] for row in rows] == [[1.0, 0.0, 1.0]]


def test_only_the_first_prompts_are_asked(measure: Callable[..., Path]) -> None:
    assert read_record(measure("two", "--prompts", "2"))["prompts"] == 2


def test_below_the_threshold_grpo_needs_someone_who_insists(measure: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"0.0% of 3 .*below readiness.threshold 20%.*readiness.force=true"):
        check_ready(measure("held_back"))
    check_ready(measure("forced", "--force", "true"))


def test_a_missing_record_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"readiness.json is missing: run evals/readiness.py first"):
        check_ready(tmp_path)


@pytest.mark.parametrize(("mixed", "force", "starts"), [(0.01, False, False), (0.01, True, True), (0.1, False, True)])
def test_the_gate_leaves_a_file_where_grpo_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    mixed: float, force: bool, starts: bool,
) -> None:  # fmt: skip
    record = {"samples": 8, "pass_at_1": 0.0, "pass_at_k": 0.5, "prompts": 64, "mixed_groups": mixed,
              "threshold": 0.1, "force": force, "ready": mixed >= 0.1}  # fmt: skip
    (tmp_path / READINESS).mkdir()
    (tmp_path / READINESS / RECORD).write_text(json.dumps(record))
    (tmp_path / "recipes").mkdir()
    stopped = tmp_path / STOPPED
    stopped.write_text("of an earlier checkpoint")
    monkeypatch.setattr(sys, "argv", ["gate.py", "--run_dir", str(tmp_path)])
    gate.main()
    told = capsys.readouterr().out
    assert is_stopped(tmp_path) is not starts
    monkeypatch.setattr(sys, "argv", ["gate.py", "--run_dir", str(tmp_path), "--check"])
    before = stopped.exists()
    if starts:
        gate.main()
    else:
        with pytest.raises(SystemExit, match="^error: .*below readiness.threshold 10%"):
            gate.main()
    assert stopped.exists() == before
    if starts:
        assert not stopped.exists()
        assert "GRPO starts. " in told
        assert ("readiness.force is set" in told) == force
    else:
        assert json.loads(stopped.read_text()) == record
        assert "GRPO does not start. 1.0% of 64" in told
        assert "readiness.force=true" in told


def test_the_gate_needs_a_record_and_a_run_without_one_is_not_stopped(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"readiness.json is missing: run evals/readiness.py first"):
        gate.pass_gate(tmp_path)
    assert not is_stopped(tmp_path)


def test_prepare_ends_in_one_line_before_it_touches_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {"samples": 8, "pass_at_1": 0.0, "pass_at_k": 0.01, "prompts": 64, "mixed_groups": 0.01,
              "threshold": 0.1, "force": False, "ready": False}  # fmt: skip
    (tmp_path / RECORD).write_text(json.dumps(record))
    (tmp_path / "grpo.yaml").write_text(f"output_dir: {tmp_path / 'grpo_training'}\n")
    command = ["trl_stage.py", "prepare", "--config", f"{tmp_path / 'grpo.yaml'}", "--readiness", f"{tmp_path}"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit, match="^error: .*pass@8 1.0%"):
        trl_stage.main()
    assert not (tmp_path / "grpo_training").exists()
