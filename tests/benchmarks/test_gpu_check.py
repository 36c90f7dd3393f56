"""The check of a GPU: steps have their time, none is lost, and the folder can be committed at any moment."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu_check
from benchmarks.gpu_check import Check, Step, run_step, write_readme


@pytest.fixture
def check(tmp_path: Path) -> Check:
    options = argparse.Namespace(tiny=True, only=None, nanogpt=None, gsm8k=None, conditions=gpu_check.ARMS)
    return Check(options, tmp_path, time.monotonic() + 60)


def answers(check: Check) -> dict[str, Any]:
    print("seen on the way")
    return {"ratio": 1.25}


def fails(check: Check) -> dict[str, Any]:
    print("seen before")
    raise RuntimeError("no kernel here")


def never_ends(check: Check) -> dict[str, Any]:
    print("seen before", flush=True)
    time.sleep(60)
    return {}


def test_what_a_step_found_and_printed_is_kept(check: Check) -> None:
    found = run_step(check, Step("a", "How fast?", 20, run=answers))
    assert (found["state"], found["ratio"]) == ("done", 1.25)
    assert (check.folder / "a.log").read_text() == "seen on the way\n"


def test_a_step_that_fails_or_never_ends_keeps_what_it_printed(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "PATIENCE", 1)
    assert run_step(check, Step("b", "", 20, run=fails))["state"] == "failed with status 1"
    assert "seen before" in (log := (check.folder / "b.log").read_text())
    assert "no kernel here" in log
    assert run_step(check, Step("c", "", 6, run=never_ends))["state"] == "out of time"
    assert (check.folder / "c.log").read_text() == "seen before\n"


def test_a_command_is_asked_to_stop_and_then_made_to(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "PATIENCE", 1)
    saves = "import signal, sys, time\nsignal.signal(15, lambda *a: (print('saved', flush=True), sys.exit()))\n"
    line = [sys.executable, "-c", f"{saves}print('begun', flush=True)\ntime.sleep(60)"]
    assert run_step(check, Step("d", "", 6, line=lambda check: line))["state"] == "out of time"
    assert (check.folder / "d.log").read_text().endswith("begun\nsaved\n")


def test_without_time_a_step_is_skipped(check: Check) -> None:
    check.deadline = time.monotonic() + 1
    assert run_step(check, Step("a", "", 20, run=answers))["state"] == "skipped: no time left"


def test_the_folder_names_machine_command_and_what_was_not_seen(check: Check) -> None:
    check.found["curve"] = {"state": "done", "seconds": 3.2, "as_it_should_be": True}
    (check.folder / "curve.log").write_text("0%\r50%\rstep 10  loss 5.8\n")
    write_readme(check)
    text = (check.folder / "README.md").read_text()
    assert "| curve | Is the recipe's loss that of eager float32? | done | 3.2 | as it should be True |" in text
    assert "| pilot | Where does a pilot of 30M parameters stand after 50M tokens and SFT? | not asked |" in text
    assert "python benchmarks/gpu_check.py" in text
    assert "step 10  loss 5.8" in text
    assert "50%" not in text


def test_the_loss_curve_of_the_recipe_is_that_of_eager_float32(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_check, "CURVE_STEPS", 12)
    found = gpu_check.curve(check)
    assert found["as_it_should_be"], found
    assert found["last_loss"] < found["first_loss"]


def test_validation_is_finite_and_its_memory_is_told(check: Check) -> None:
    found = gpu_check.validation(check)
    assert found["finite"]
    assert found["fits"]


def test_the_pilot_runs_the_arms_that_attribution_needs(check: Check) -> None:
    line = gpu_check.pilot(check)
    assert "CONDITIONS=baseline canonical mulfact" in line
    assert any("posttrain.gsm8k=null" in word for word in line)
    check.options.gsm8k = "../gsm8k"
    assert "GSM8K=../gsm8k" in gpu_check.pilot(check)
