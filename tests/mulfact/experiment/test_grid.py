"""The grid's driver around the real Makefile, whose commands are replaced by stubs that write what a stage writes."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from make_workshop import Workshop
from rich.console import Console

from mulfact.errors import UserError
from mulfact.experiment.cells import Cell, Log, cells_in, cells_of
from mulfact.experiment.grid import Signals, make_variables, repeat_command
from mulfact.experiment.state import Grid
from mulfact.experiment.view import Screen
from mulfact.locks import experiment_lock


@pytest.fixture
def workshop(repository: Path, tmp_path: Path) -> Workshop:
    return Workshop(repository, tmp_path)


def test_a_whole_grid_runs_once_and_logs_each_stage(workshop: Workshop) -> None:
    first = workshop.make("SEEDS=0 1", "OVERRIDES=pretrain.max_steps=7", "PRICE=2.5")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "34 of 34 cells done" in first.stdout
    assert "$0.0" in first.stdout
    assert first.stdout.count("accelerate launch") == first.stdout.count("trl grpo") == 4
    assert "seen by" not in first.stdout.replace("seen by evals/compare.py", "")  # it is in the logs
    log = workshop.folder / "outputs/smoke/mulfact/seed-1/logs/pretrain.log"
    assert log.read_text().startswith("seen by modeling/supervise.py")
    assert "max_steps: 7" in (workshop.folder / "outputs/smoke/mulfact/seed-1/recipes/pretrain.yaml").read_text()

    second = workshop.make("SEEDS=0 1", "OVERRIDES=pretrain.max_steps=7")
    assert second.returncode == 0
    assert "34 of 34 cells done" in second.stdout
    assert "python" not in second.stdout


def test_a_failed_cell_stops_no_other_and_is_told_with_its_command(workshop: Workshop) -> None:
    settings = ("SEEDS=0 1", 'OVERRIDES=pretrain.max_steps=7 "corpus.allow_overlap=[svamp]"')
    result = workshop.make(*settings, FAIL="mulfact/seed-1/recipes/sft.yaml")
    assert result.returncode != 0
    told = result.stderr
    assert "failed: mulfact/seed-1 sft (Error 1)" in told
    assert "log: outputs/smoke/mulfact/seed-1/logs/sft.log" in told
    assert "error: out of luck" in told
    assert "not reached: mulfact/seed-1 readiness, mulfact/seed-1 grpo, mulfact/seed-1 eval" in told
    for run in ("baseline/seed-0", "baseline/seed-1", "mulfact/seed-0"):
        assert (workshop.folder / "outputs/smoke" / run / "eval/provenance.json").is_file()
    repeat = next(line.strip().removeprefix("repeat: ") for line in told.splitlines() if "repeat: " in line)
    assert (
        subprocess.run(repeat, shell=True, cwd=workshop.folder, env=workshop.environment(), check=False).returncode == 0
    )
    assert (workshop.folder / "outputs/smoke/mulfact/seed-1/sft_final/provenance.json").is_file()
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

    shorter = workshop.make(*settings, "OVERRIDES=sft.max_length=128", target="sft")
    assert shorter.returncode == 0
    assert "data_builders/lengths.py" in shorter.stdout  # asked again
    assert "pretrain.py" not in shorter.stdout  # and what it does not touch stays


def test_a_gated_cell_has_not_failed_and_its_run_goes_on(workshop: Workshop) -> None:
    outputs = workshop.folder / "outputs/smoke"
    gated = outputs / "mulfact/seed-1"
    first = workshop.make("SEEDS=0 1", GATED="mulfact/seed-1")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "33 of 34 cells done, 1 gated" in first.stdout
    assert "gated: mulfact/seed-1 grpo, " in first.stdout
    assert "gated: mulfact/seed-1: 5.0% of 64 development prompts have right and wrong answers" in first.stdout
    assert "failed" not in first.stdout + first.stderr
    assert (gated / "grpo_stopped.json").is_file()
    assert not (gated / "grpo_final").exists()
    assert (outputs / "mulfact/seed-0/grpo_final/provenance.json").is_file()
    for product in ("eval/provenance.json", "ledger.json"):
        assert (gated / product).is_file()
    assert (outputs / "report/provenance.json").is_file()

    second = workshop.make("SEEDS=0 1", GATED="mulfact/seed-1")
    assert second.returncode == 0
    assert "33 of 34 cells done, 1 gated" in second.stdout
    assert "python" not in second.stdout


def test_a_run_that_trained_longer_passes_its_gate_and_the_other_way_round(workshop: Workshop) -> None:
    settings = ("CONDITIONS=baseline mulfact", "SEEDS=0")
    run = workshop.folder / "outputs/smoke/baseline/seed-0"
    assert workshop.make(*settings, GATED="baseline/seed-0").returncode == 0
    longer = workshop.make(*settings, "OVERRIDES=sft.max_steps=7")
    assert longer.returncode == 0
    assert "22 of 22 cells done, elapsed" in longer.stdout
    assert not (run / "grpo_stopped.json").exists()
    trained, evaluated = (run / name / "provenance.json" for name in ("grpo_final", "eval"))
    assert evaluated.stat().st_mtime_ns > trained.stat().st_mtime_ns
    before = trained.stat().st_mtime_ns
    shorter = workshop.make(*settings, "OVERRIDES=sft.max_steps=3", GATED="baseline/seed-0")
    assert shorter.returncode == 0
    assert "21 of 22 cells done, 1 gated" in shorter.stdout
    assert trained.stat().st_mtime_ns == before  # nothing that was trained is lost
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
    started = workshop.make(*settings, "OVERRIDES=sft.max_steps=7", target="grpo")
    assert started.returncode == 0, started.stderr
    assert (run / "grpo_final/provenance.json").is_file()


def test_one_job_shows_what_it_prints(workshop: Workshop) -> None:
    result = workshop.make("JOBS=1")
    assert result.returncode == 0, result.stderr
    assert "seen by modeling/supervise.py --folder" in result.stdout


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
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
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


def test_progress_is_read_from_pretraining_and_from_trl(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("mulfact/seed-0  step 3/9  loss 9.9  bits/byte 3.9  ETA 9:59\n")
    log = Log(path)  # what an earlier run printed is not this one's progress
    assert log.read() == []
    assert log.progress is None
    with path.open("a") as file:
        file.write("a/seed-0  step  10/960  loss 6.4602  bits/byte 3.939  4,455 tok/s  ETA 1:02:08\n")
    assert len(log.read()) == 1
    assert log.progress is not None
    assert (log.progress.step, log.progress.steps, log.progress.seconds_left) == (10, 960, 3728)
    assert log.progress.text == "loss 6.4602  bits/byte 3.939  4,455 tok/s  ETA 1:02:08"
    with path.open("a") as file:
        file.write(
            "\rLoading weights: 100%|███| 28/28 [00:00<00:00, 8.2it/s]\n"
            "\r 25%|██▌  | 1/4 [00:02<00:06,  2.22s/it]\r   \r"
        )
        file.write(
            "{'loss': '5.136', 'entropy': '5.9', 'reward': '0.25'}\n\r 50%|█████     | 2/4 [00:03<00:03,  1.66s/it]"
        )
    log.read()
    assert (log.progress.step, log.progress.steps, log.progress.seconds_left) == (2, 4, 3)
    assert log.progress.text == "loss 5.136  reward 0.25  1.66s/it  ETA 00:03"
    assert log.lines[-1].startswith("{'loss'")


def test_cells_of_a_command_line() -> None:
    folder = Path("outputs/smoke")
    line = 'resume="$(python x.py --config outputs/smoke/a/seed-0/recipes/sft.yaml)" && \\'
    assert cells_in(line, folder) == [Cell("a/seed-0", "sft")]
    line = "printf '%s\\n' outputs/smoke/a/seed-0/recipes/eval.yaml outputs/smoke/b/seed-1/recipes/eval.yaml | xargs"
    assert cells_in(line, folder) == [Cell("a/seed-0", "eval"), Cell("b/seed-1", "eval")]
    line = "python modeling/trl_stage.py finish --config outputs/smoke/a/seed-0/recipes/sft.yaml --evaluation "
    line += "outputs/smoke/a/seed-0/recipes/eval.yaml --output_dir outputs/smoke/a/seed-0/sft_final"
    assert cells_in(line, folder) == [Cell("a/seed-0", "sft")]
    assert cells_in("python corpus.py --config outputs/smoke/recipes/corpus.yaml", folder) == [Cell("", "corpus")]
    runs = [(condition, seed) for condition in "ab" for seed in (0, 1, 2)]
    assert len(cells_of(runs)) == 4 + 2 * 3 + 6 * 7
    assert len(cells_of(runs, ("pretrain", "curve"))) == 4 + 2 * 3 + 6 * 2


def test_time_left_is_the_mean_of_what_ran_and_names_what_never_did(tmp_path: Path) -> None:
    grid = Grid(tmp_path, [Cell("a/seed-0", "sft"), Cell("a/seed-1", "sft"), Cell("a/seed-0", "grpo")], 1, None)
    (tmp_path / "a/seed-0/sft_final").mkdir(parents=True)
    (tmp_path / "a/seed-0/sft_final/provenance.json").write_text(json.dumps({"seconds": 90}))
    grid.expect("\n".join(f"{tmp_path}/a/{cell}.yaml" for cell in ("seed-1/recipes/sft", "seed-0/recipes/grpo")))
    assert grid.seconds_left() == (90, ["grpo"])
    assert "about 1:30 left, without grpo" in grid.summary()
    grid.states[Cell("a/seed-1", "sft")] = "failed"
    assert "left" not in grid.summary()  # nothing runs any more
    grid = Grid(tmp_path, [Cell("a/seed-0", "grpo")], 1, None)
    grid.expect(f"{tmp_path}/a/seed-0/recipes/grpo.yaml")
    assert "time left not known before grpo has run once" in grid.summary()


def test_make_variables_are_read_as_make_passes_them() -> None:
    flags = r" -j2 -- SCALE=smoke OVERRIDES=a.b=1\ 'c.d={x:\ $$y}' CONDITIONS=a\ b"
    variables = make_variables(flags)
    assert variables == {"SCALE": "smoke", "OVERRIDES": "a.b=1 'c.d={x: $y}'", "CONDITIONS": "a b"}
    settings = [f"{name}={value}" for name, value in variables.items()]
    assert repeat_command(Cell("a/seed-3", "sft"), settings) == (
        "make sft CONDITION=a SEED=3 SCALE=smoke 'OVERRIDES=a.b=1 '\"'\"'c.d={x: $y}'\"'\"''"
    )


def test_a_terminal_shows_the_grid_with_the_share_of_what_runs(tmp_path: Path) -> None:
    cells = cells_of([("a", 0)])
    grid = Grid(tmp_path, cells, 1, 2.5)
    for cell in cells:
        if cell.stage != "sft":
            cell.product(tmp_path).parent.mkdir(parents=True, exist_ok=True)
            cell.product(tmp_path).write_text('{"seconds": 1}')
    command = f"trl sft --config {tmp_path}/a/seed-0/recipes/sft.yaml"
    grid.expect(command)
    output = io.StringIO()
    screen = Screen(grid, Console(file=output, force_terminal=True, width=120))
    screen.command(command)
    grid.read(command)
    log = Cell("a/seed-0", "sft").log(tmp_path)
    log.parent.mkdir()
    log.write_text("loaded\n\r 50%|█████     | 2/4 [00:03<00:03,  1.66s/it]")
    screen.printed(grid.logs[Cell("a/seed-0", "sft")].read())
    screen.tick()
    screen.close()
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue())
    for text in (
        command,
        "✓ pretrain",
        "▶ sft 50%",
        "a/seed-0 sft  step 2/4  1.66s/it  ETA 00:03",
        "loaded",
        "1 running",
    ):
        assert text in shown
