"""The check of a GPU in its tiny form: each step answers, and nothing starts CUDA before the forks."""

import argparse
import shlex
from pathlib import Path

import pytest
import torch

from mulfact.benchmarks import gpu_check
from mulfact.benchmarks.gpu_check import PILOT, TINY_PILOT, Check, told
from mulfact.recipe import compose


@pytest.fixture
def check(tmp_path: Path) -> Check:
    options = argparse.Namespace(tiny=True, only=None, nanogpt=None, gsm8k=None, conditions=gpu_check.ARMS)
    return Check(options, tmp_path)


def test_the_loss_curve_of_the_recipe_is_that_of_eager_float32(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "CURVE_STEPS", 12)
    (found,) = check.curve()
    assert found["as_it_should_be"], found
    assert found["last_loss"] < found["first_loss"]


def test_validation_is_finite(check: Check) -> None:
    (found,) = check.validation()
    assert found["finite"]


def test_speed_tells_after_each_row_which_is_the_fastest(check: Check, capsys: pytest.CaptureFixture[str]) -> None:
    founds = [(len(found["rows"]), found["fastest"], found["times_as_fast"]) for found in check.speed()]
    assert [rows for rows, _, _ in founds] == [1, 2]
    assert all(ratio > 0 for _, _, ratio in founds)
    assert founds[-1][1].startswith("ours, eager")
    assert "ours, eager, chunked loss" in capsys.readouterr().out


def test_each_step_has_a_time_and_together_they_are_a_quarter_of_an_hour(check: Check) -> None:
    steps = check.steps()
    assert [step.name for step in steps] == [
        "parity", "speed", "curve", "validation", "evaluation", "pilot", "generation",
    ]  # fmt: skip
    assert 14 * 60 <= sum(step.seconds for step in steps) <= 16 * 60
    for step in steps:
        assert (step.function is None) != (step.command is None)
        if step.command is not None and step.command()[0] != "make":
            script = next(word for word in step.command()[1:] if word.endswith(".py"))
            assert (gpu_check.REPOSITORY / script).is_file()


def test_the_pilot_runs_the_arms_that_attribution_needs(check: Check) -> None:
    line = check.pilot_command()
    assert "CONDITIONS=baseline canonical mulfact" in line
    assert any("posttrain.gsm8k=null" in word for word in line)
    check.options.gsm8k = "../gsm8k"
    assert "GSM8K=../gsm8k" in check.pilot_command()


@pytest.mark.parametrize(("scale", "overrides"), [("pilot", PILOT), ("smoke", TINY_PILOT)])
def test_the_pilot_composes_and_its_grpo_never_starts(scale: str, overrides: str) -> None:
    words = [*shlex.split(overrides), "posttrain.gsm8k=null"]
    stages = compose(gpu_check.REPOSITORY / "recipes", scale, "mulfact", 0, words)
    assert stages["readiness"]["threshold"] == 1.0
    assert not stages["readiness"]["force"]


def test_what_the_pilot_left_is_copied_however_far_it_came(check: Check) -> None:
    run = check.pilot / "baseline" / "seed-0"
    for path, text in {
        "pretrain_final/training_summary.json": '{"tokens_per_second": 9.5}',
        "readiness/readiness.json": '{"pass_at_k": 0.25, "mixed_groups": 0.125}',
        "eval/sft/gsm8k_results.json": '{"tasks": {"gsm8k_cot": {"accuracy": 0.5}}}',
    }.items():
        (run / path).parent.mkdir(parents=True)
        (run / path).write_text(text)
    assert check.pilot_found() == {
        "baseline tokens_per_second": 9.5, "baseline pass_at_8": 0.25, "baseline mixed_groups": 0.125,
        "baseline accuracy": 0.5,
    }  # fmt: skip
    assert (check.folder / "pilot/baseline/seed-0/eval/sft/gsm8k_results.json").is_file()


def test_the_head_of_the_folder_starts_no_cuda_in_this_process(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    def started() -> None:
        raise AssertionError("a fork could not use CUDA any more")

    monkeypatch.setattr(torch.cuda, "_lazy_init", started)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(gpu_check, "query_gpus", lambda field: ["NVIDIA H100"])
    head = told(check.options)
    assert head["Machine"].startswith("NVIDIA H100; ")
    assert "python benchmarks/gpu_check.py" in head["Command"]
