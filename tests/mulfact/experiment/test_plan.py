"""The plan against what was measured on one H100: GPT-2 124M, batch 64 x 1024, and the pilot (docs/results)."""

import os
import sys
from pathlib import Path

import pytest

from mulfact.data_builders.problem_sets.fact_probes import PROBES, fact_probe
from mulfact.data_builders.problem_sets.probes import table_20
from mulfact.experiment import plan
from mulfact.experiment.plan import eager_training_memory, peak_flops, plan_pretraining, training_memory
from mulfact.modeling.gpt2.flops import ModelShape
from mulfact.recipe import compose

GPT2 = ModelShape(12, 768, 3072, 50304)
SECTION = {
    "n_layer": 12, "n_embd": 768, "n_positions": 1024, "sequence_length": 1024, "tokens_per_step": 524_288,
    "micro_batch_size": 64, "max_steps": None, "target_tokens": 512_000 * 3600, "target_flops": None, "compile": True,
    "loss": "plain", "num_processes": 1, "steps_factor": 1.0,
}  # fmt: skip


def test_memory_is_near_what_was_measured() -> None:
    assert training_memory(GPT2, 64 * 1024, keeps_logits=True) == pytest.approx(28.5e9, rel=0.05)
    assert training_memory(GPT2, 64 * 1024, keeps_logits=False) == pytest.approx(22.9e9, rel=0.05)
    assert training_memory(GPT2, 64 * 1024, keeps_logits=True, compiled=False) == pytest.approx(63.5e9, rel=0.05)
    assert training_memory(GPT2, 64 * 1024, keeps_logits=False, compiled=False) == pytest.approx(26.0e9, rel=0.05)


def test_memory_of_trl_is_near_what_was_measured() -> None:
    pilot = ModelShape(8, 512, 2048, 8192)
    assert eager_training_memory(pilot, 32 * 512) == pytest.approx(8.7e9, rel=0.1)
    assert eager_training_memory(pilot, 256 * (128 + 224)) == pytest.approx(41e9, rel=0.1)


@pytest.mark.parametrize("scale", ["pilot", "gpt2_124m", "gpt2_355m"])
def test_every_stage_of_a_scale_fits_its_gpu(repository: Path, scale: str) -> None:
    _, stages = plan.plan_run(compose(repository / "recipes", scale, "baseline", 0), 1e15)
    assert max(stage.memory for stage in stages) < (12e9 if scale == "pilot" else 48e9)


def test_an_hour_of_the_measured_speed_is_planned_as_an_hour() -> None:
    """512k tokens/s were measured; the plan allows for a little less."""
    planned = plan_pretraining(SECTION, GPT2, peak_flops("h100")[1])
    assert 1.0 <= planned.seconds / 3600 <= 1.15
    assert planned.positions == planned.steps * 524_288


def test_eight_processes_take_an_eighth_of_the_time() -> None:
    one, eight = (plan_pretraining(SECTION | {"num_processes": n}, GPT2, 1e15).seconds for n in (1, 8))
    assert one == pytest.approx(8 * eight)


def test_eight_processes_share_the_steps_of_every_training(repository: Path) -> None:
    one, eight = (
        {
            stage.name: stage
            for stage in plan.plan_run(compose(repository / "recipes", "gpt2_124m", "baseline", 0, extra), 1e15)[1]
        }
        for extra in ([], ["pretrain.num_processes=8"])
    )
    assert eight["sft"].seconds == pytest.approx(one["sft"].seconds / 8)
    assert one["grpo"].seconds / 8 < eight["grpo"].seconds < one["grpo"].seconds  # a token takes its time on each
    for name in ("sft", "grpo", "eval"):
        assert (eight[name].steps, eight[name].flops) == (one[name].steps, one[name].flops)
        assert eight[name].memory <= one[name].memory


def test_the_probes_of_known_size_are_counted() -> None:
    built = [*map(fact_probe, PROBES), table_20()]
    assert sum(len(probe.items) for probe in built) == plan.TABLE_ITEMS


def run(monkeypatch: pytest.MonkeyPatch, repository: Path, *words: str) -> None:
    monkeypatch.chdir(repository)
    monkeypatch.setattr(sys, "argv", ["plan.py", *words])
    plan.main()


def test_the_table_has_every_stage_and_the_whole(
    monkeypatch: pytest.MonkeyPatch, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--gpu", "a100", "--price", "2.5", "--seeds", "0", "1", "2", "--controls", "baseline_more")
    run(monkeypatch, repository, "--scale", "smoke", *words)
    output = capsys.readouterr().out
    for row in ("pretrain", "sft", "grpo", "eval", "one run", "all 9 runs"):
        assert row in output
    assert "1 x A100" in output


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--gpu", "voodoo2"], "choose one of cpu, H200"),
        (["--price", "-1"], "PRICE: found '-1'"),
        (["--controls", "baseline_mor"], "unknown control 'baseline_mor'; did you mean 'baseline_more'"),
        (["--set", "pretrain.n_layers=3"], "did you mean 'pretrain.n_layer'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, repository: Path, words: list[str], named: str
) -> None:
    with pytest.raises(SystemExit, match=named):
        run(monkeypatch, repository, "--scale", "smoke", *words)


def test_too_many_runs_for_the_gpu_are_told_before_they_start(
    monkeypatch: pytest.MonkeyPatch, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A driver in its place, with a GPU of 80 GB."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 81559\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    whole = ("--set", "grpo.per_device_train_batch_size=256", "grpo.gradient_accumulation_steps=1")
    run(monkeypatch, repository, "--scale", "pilot", "--seeds", "0", "1", "--jobs", "3", "--only_warn", *whole)
    told = capsys.readouterr().err
    assert told.startswith("warning: 3 runs side by side may take 3 x 43 GB (grpo), and the GPU has 86 GB: lower JOBS")
    run(monkeypatch, repository, "--scale", "pilot", "--seeds", "0", "1", "--jobs", "3", "--only_warn")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
