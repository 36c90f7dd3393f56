"""How a grid stands by what make and the stages print, and what a person sees of it."""

import io
import json
import re
import time
from pathlib import Path

import pytest
from rich.console import Console

from mulfact.experiment.cells import Cell, Log, Progress, cells_in, cells_of
from mulfact.experiment.grid import make_variables, repeat_command
from mulfact.experiment.state import Grid
from mulfact.experiment.view import Lines, Screen


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


def test_a_first_step_is_told_at_once_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cell, other = Cell("a/seed-0", "pretrain"), Cell("b/seed-0", "pretrain")
    grid = Grid(tmp_path, [cell, other], 2, None)
    for one in (cell, other):
        grid.states[one], grid.begun[one], grid.logs[one] = "running", time.time(), Log(one.log(tmp_path))
    view = Lines(grid)
    view.tick()
    assert capsys.readouterr().out == ""
    grid.logs[cell].progress = Progress(10, 960, "loss 6.4602  ETA 1:02:08", 3728)
    view.tick()
    assert capsys.readouterr().out == "running: a/seed-0 pretrain  step 10/960  loss 6.4602  ETA 1:02:08\n"
    view.tick()
    assert capsys.readouterr().out == ""


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
        "pretrain curve sft   readiness",
        "✓        ✓     ▶ 50% ✓",
        "tokenizer, tokens, lengths:  a ✓✓✓",
        "a/seed-0 sft  step 2/4  1.66s/it  ETA 00:03",
        "loaded",
        "1 running",
    ):
        assert text in shown


def test_a_terminal_of_80_columns_and_24_lines_shows_4_arms_with_3_seeds(tmp_path: Path) -> None:
    arms = ["baseline", "mulfact", "mulfact_strict", "placebo"]
    cells = cells_of([(arm, seed) for arm in arms for seed in range(3)])
    grid = Grid(tmp_path, cells, 4, 2.5)
    running = [Cell(f"{arm}/seed-0", "pretrain") for arm in arms]
    grid.expect("\n".join(str(cell.recipe(tmp_path)) for cell in cells if cell.stage != "corpus"))
    for cell in running:
        grid.read(f"python modeling/pretrain.py --config {cell.recipe(tmp_path)}")
        grid.logs[cell].progress = Progress(480, 960, "loss 2.1234  bits/byte 1.234  4,455 tok/s  ETA 1:02:08", 3728)
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=80, height=24)
    screen = Screen(grid, console)
    console.print(screen.draw())
    screen.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.getvalue()).splitlines()
    drawn = lines[next(n for n, line in enumerate(lines) if "cells done" in line) :][:24]
    assert max(map(len, drawn)) <= 80
    shown = "\n".join(drawn)
    for text in (*(f"{arm}/seed-{seed}" for arm in arms for seed in range(3)), "▶ 50%", "$0.00 so far", "baseline ···"):
        assert text in shown
    assert sum("step 480/960" in line for line in drawn) >= 3
    few = Screen(grid, Console(file=io.StringIO(), force_terminal=True, width=80, height=14))
    Console(file=(short := io.StringIO()), width=80, height=14).print(few.draw())
    few.close()
    assert "and 10 more" in short.getvalue() or "and 9 more" in short.getvalue()
    assert len(short.getvalue().splitlines()) <= 14


def test_an_emptied_record_of_the_time_loses_the_cost_alone(tmp_path: Path) -> None:
    record = tmp_path / "logs/elapsed.json"
    record.parent.mkdir()
    for text in ("", "{", "[]", "{}", '{"seconds": null}'):
        record.write_text(text)
        assert Grid(tmp_path, [], 1, 2.5).earlier == 0
    record.write_text('{"seconds": 7}')
    assert Grid(tmp_path, [], 1, 2.5).earlier == 7


def test_time_left_comes_from_the_plan_until_it_is_measured(tmp_path: Path) -> None:
    cells = [Cell("a/seed-0", "pretrain"), Cell("a/seed-0", "sft")]
    grid = Grid(tmp_path, cells, 1, None, planned={"pretrain": 600.0})
    grid.expect("\n".join(str(cell.recipe(tmp_path)) for cell in cells))
    assert grid.seconds_left() == (600, ["sft"])
