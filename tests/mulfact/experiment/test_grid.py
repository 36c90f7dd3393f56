"""The grid's driver around the real Makefile, with stand-ins in the places of the stages."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from make_workshop import Workshop

from mulfact.errors import UserError
from mulfact.experiment.grid import Signals
from mulfact.locks import experiment_lock


@pytest.fixture
def workshop(repository: Path, tmp_path: Path) -> Workshop:
    return Workshop(repository, tmp_path)


def run_by(workshop: Workshop) -> dict[Path, int]:
    """Return how often each log says that a stage ran."""
    return {path: path.read_text().count("seen by") for path in workshop.outputs.rglob("*.log")}


def test_a_whole_grid_runs_once_logs_each_stage_and_ends_with_the_answer(workshop: Workshop) -> None:
    first = workshop.make("JOBS=1", "OVERRIDES=pretrain.max_steps=7", "PRICE=2.5")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "24 of 24 cells done" in first.stdout
    assert "$" in first.stdout
    assert first.stdout.count("python modeling/pretrain.py --config") == 2
    assert "seen by modeling/supervise.py --folder" in first.stdout  # of one job the lines are shown
    log = workshop.outputs / "mulfact/seed-0/logs/pretrain.log"
    assert log.read_text().startswith("seen by modeling/supervise.py")
    assert "max_steps: 7" in (workshop.outputs / "mulfact/seed-0/recipes/pretrain.yaml").read_text()

    ran = run_by(workshop)
    shutil.rmtree(workshop.outputs / "corpus")
    for path in workshop.outputs.rglob("*"):
        path.touch()
    equal = workshop.make()
    assert equal.returncode == 0, equal.stdout + equal.stderr
    assert "as this experiment was made: OVERRIDES='pretrain.max_steps=7'" in equal.stdout
    assert [path.name for path, count in run_by(workshop).items() if count > ran[path]] == ["corpus.log"]

    second = workshop.make(target="smoke")
    assert second.returncode == 0
    assert "24 of 24 cells done" in second.stdout
    assert "python" not in second.stdout
    for made in (first, equal, second):
        assert made.stdout.count("mulfact is 5.0 points above baseline.") == 1
        assert "+5.0 points, 95% interval −1.0 to +11.0, 1 seed, 200 items" in made.stdout
        assert "The report: outputs/smoke/report/report.html" in made.stdout

    refused = workshop.make("OVERRIDES=grpo.learning_rate=0.1 pretrain.max_steps=7")
    assert refused.returncode != 0
    assert "error: 2 finished trainings of 2.00 hours would be made again" in refused.stderr
    assert "0.1" not in (workshop.outputs / "mulfact/seed-0/recipes/grpo.yaml").read_text()
    again = workshop.make("OVERRIDES=grpo.learning_rate=0.1 pretrain.max_steps=7", "AGAIN=1")
    assert again.returncode == 0
    assert again.stdout.count("trl grpo") == 2


def test_a_failed_cell_stops_no_other_and_is_told_with_its_command(workshop: Workshop) -> None:
    settings = ("SEEDS=0", 'OVERRIDES=pretrain.max_steps=7 "corpus.allow_overlap=[svamp, asdiv]"')
    result = workshop.make(*settings, FAIL="mulfact/seed-0/recipes/sft.yaml")
    assert result.returncode != 0
    told = result.stderr
    assert "failed: mulfact/seed-0 sft (Error 1)" in told
    assert "log: outputs/smoke/mulfact/seed-0/logs/sft.log" in told
    assert "error: out of luck" in told
    assert "not reached: mulfact/seed-0 readiness, mulfact/seed-0 grpo, mulfact/seed-0 eval" in told
    assert "error: 1 cell failed; the same command goes on from what is finished" in told
    assert (workshop.folder / "outputs/smoke/baseline/seed-0/eval/provenance.json").is_file()
    repeat = next(line.strip().removeprefix("repeat: ") for line in told.splitlines() if "repeat: " in line)
    assert (
        subprocess.run(repeat, shell=True, cwd=workshop.folder, env=workshop.environment(), check=False).returncode == 0
    )
    assert (workshop.folder / "outputs/smoke/mulfact/seed-0/sft_final/provenance.json").is_file()
    again = workshop.make(*settings)
    assert again.returncode == 0
    assert "pretrain.py" not in again.stdout
    assert again.stdout.count("trl grpo") == 1


def test_rows_that_do_not_fit_are_refused_before_pretraining_is_paid_for(workshop: Workshop) -> None:
    run = workshop.folder / "outputs/smoke/mulfact/seed-0"
    settings = ("CONDITION=mulfact", "SEED=0")
    refused = workshop.make(*settings, target="sft", FAIL="mulfact/recipes/lengths.yaml")
    assert refused.returncode != 0
    assert "error: out of luck" in refused.stderr
    assert not (run / "pretrain_final").exists()
    assert workshop.make(*settings, target="sft").returncode == 0

    asked = workshop.make(*settings, "OVERRIDES=sft.max_length=128", target="sft")
    assert (
        "a finished training of 1.00 hours would be made again: mulfact/seed-0 sft (changed: max_length" in asked.stderr
    )
    shorter = workshop.make(*settings, "OVERRIDES=sft.max_length=128", "AGAIN=1", target="sft")
    assert shorter.returncode == 0
    assert "data_builders/lengths.py" in shorter.stdout  # asked again
    assert "pretrain.py" not in shorter.stdout  # and what it does not touch stays


def test_a_gated_cell_has_not_failed_and_its_run_goes_on(workshop: Workshop) -> None:
    outputs = workshop.folder / "outputs/smoke"
    gated = outputs / "mulfact/seed-0"
    first = workshop.make(GATED="mulfact/seed-0")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "23 of 24 cells done, 1 gated" in first.stdout
    assert "gated: mulfact/seed-0 grpo, " in first.stdout
    assert "gated: mulfact/seed-0: 5.0% of 64 development prompts have right and wrong answers" in first.stdout
    assert "failed" not in first.stdout + first.stderr
    assert (gated / "grpo_stopped.json").is_file()
    assert not (gated / "grpo_final").exists()
    assert (outputs / "baseline/seed-0/grpo_final/provenance.json").is_file()
    for product in ("eval/provenance.json", "ledger.json"):
        assert (gated / product).is_file()
    assert (outputs / "report/provenance.json").is_file()

    second = workshop.make(GATED="mulfact/seed-0")
    assert second.returncode == 0
    assert "23 of 24 cells done, 1 gated" in second.stdout
    assert "python" not in second.stdout


def test_a_run_that_trained_longer_passes_its_gate_and_the_other_way_round(workshop: Workshop) -> None:
    settings = ("CONDITIONS=baseline mulfact", "SEEDS=0")
    run = workshop.folder / "outputs/smoke/baseline/seed-0"
    assert workshop.make(*settings, GATED="baseline/seed-0").returncode == 0
    longer = workshop.make(*settings, "OVERRIDES=sft.max_steps=7", "AGAIN=1")
    assert longer.returncode == 0
    assert "24 of 24 cells done, elapsed" in longer.stdout
    assert not (run / "grpo_stopped.json").exists()
    trained, evaluated = (run / name / "provenance.json" for name in ("grpo_final", "eval"))
    assert evaluated.stat().st_mtime_ns > trained.stat().st_mtime_ns
    before = trained.read_text()
    shorter = workshop.make(*settings, "OVERRIDES=sft.max_steps=3", "AGAIN=1", GATED="baseline/seed-0")
    assert shorter.returncode == 0
    assert "23 of 24 cells done, 1 gated" in shorter.stdout
    assert trained.read_text() == before  # nothing that was trained is lost
    assert evaluated.stat().st_mtime_ns > (run / "grpo_stopped.json").stat().st_mtime_ns
    assert "python" not in workshop.make(*settings, "OVERRIDES=sft.max_steps=3").stdout


def test_a_gated_run_and_a_failed_one_are_told_apart(workshop: Workshop) -> None:
    result = workshop.make(GATED="baseline/seed-0", FAIL="mulfact/seed-0/recipes/grpo.yaml")
    assert result.returncode != 0
    assert "gated: baseline/seed-0: 5.0% of 64" in result.stdout
    assert "failed: mulfact/seed-0 grpo (Error 1)" in result.stderr
    assert "failed: baseline" not in result.stderr
    assert (workshop.folder / "outputs/smoke/baseline/seed-0/eval/provenance.json").is_file()
    assert not (workshop.folder / "outputs/smoke/report").exists()


def test_grpo_by_itself_says_why_it_does_not_start_and_the_evaluation_goes_on(workshop: Workshop) -> None:
    settings = ("CONDITION=mulfact", "SEED=0")
    run = workshop.folder / "outputs/smoke/mulfact/seed-0"
    first, second = (workshop.make(*settings, target="grpo", GATED="mulfact/seed-0") for _ in range(2))
    assert "GRPO does not start. 5.0% of 64" in first.stdout
    assert "python" not in second.stdout
    for refused in (first, second):
        assert refused.returncode != 0
        assert "error: outputs/smoke/mulfact/seed-0/readiness: 5.0% of 64" in refused.stderr
        assert "readiness.force=true" in refused.stderr
    for target in ("eval", "ledger"):
        assert workshop.make(*settings, target=target).returncode == 0
    assert (run / "eval/provenance.json").is_file()
    assert not (run / "grpo_final").exists()
    started = workshop.make(*settings, "OVERRIDES=sft.max_steps=7", "AGAIN=1", target="grpo")
    assert started.returncode == 0, started.stderr
    assert (run / "grpo_final/provenance.json").is_file()


def test_a_signal_stops_everything_that_runs(workshop: Workshop) -> None:
    assert workshop.make(FAIL="benchmarks.yaml").returncode != 0  # composes the recipes
    command = ["-m", "mulfact.experiment.grid", "--folder", "outputs/smoke", "--conditions", "baseline", "--seeds", "0"]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=workshop.folder, env=workshop.environment(SLOW="60"), stdout=subprocess.DEVNULL
    )
    log = workshop.folder / "outputs/smoke/logs/benchmarks.log"
    deadline = time.time() + 20
    while log.read_text().count("seen by") < 2 and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert not (workshop.folder / "outputs/smoke/benchmarks/provenance.json").exists()


def test_a_signal_waits_until_the_grid_looks_for_it() -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        signals = Signals()
        signals.obey()
        os.kill(os.getpid(), signal.SIGTERM)  # an exception here could come in the middle of queue.get
        with pytest.raises(SystemExit) as left:
            signals.obey()
        assert left.value.code == 128 + signal.SIGTERM
        signals = Signals()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signals.obey()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_what_a_killed_grid_has_started_keeps_others_out_of_the_folder(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert workshop.make(FAIL="benchmarks.yaml").returncode != 0  # composes the recipes
    folder = workshop.folder / "outputs/smoke"
    command = ["-m", "mulfact.experiment.grid", "--folder", "outputs/smoke"]
    command += ["--conditions", "baseline", "mulfact", "--seeds", "0"]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=workshop.folder, env=workshop.environment(SLOW="60"), stdout=subprocess.DEVNULL
    )
    log = folder / "logs/benchmarks.log"
    deadline = time.time() + 20
    while log.read_text().count("seen by") < 2 and time.time() < deadline:
        time.sleep(0.05)
    started = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    monkeypatch.setattr("mulfact.locks.PATIENCE", 0.2)
    try:
        with (
            pytest.raises(UserError, match=r"another make experiment works there \(process \d+.*OUTPUTS="),
            experiment_lock(folder),
        ):
            pass
    finally:
        for child in started:
            child.kill()
        psutil.wait_procs(started)
    with experiment_lock(folder):
        pass
