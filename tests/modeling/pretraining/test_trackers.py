"""TensorBoard receives the whole curve, offline, and writes it where the run is."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_pretraining import curve, pretrain, write_recipe

from mulfact.errors import UserError
from mulfact.modeling.pretraining.trackers import check_tracker, flat

# Steps 5 to 7 are behind the checkpoint of step 4, and step 6 is logged.
DIES_AFTER_STEP_7 = """
import os
from mulfact.modeling import pretrain
from mulfact.modeling.pretraining.run import Pretraining
take_step = Pretraining.take_step
Pretraining.take_step = lambda run, step: os._exit(9) if step == 8 else take_step(run, step)
pretrain.main()
"""


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(record["step"], record["loss"]) for record in curve(folder) if "loss" in record]


def test_tensorboard_has_the_curve(tmp_path: Path) -> None:
    result = pretrain(write_recipe(tmp_path, report_to="tensorboard"))
    assert result.returncode == 0, result.stderr
    events = EventAccumulator(str(tmp_path / "tracking"))
    events.Reload()
    assert [(event.step, pytest.approx(event.value)) for event in events.Scalars("loss")] == losses(tmp_path)
    assert {"tokens_per_second", "validation/bits_per_byte"} <= set(events.Tags()["scalars"])


def test_tensorboard_shows_a_step_once_that_was_taken_again_after_a_crash(tmp_path: Path, repository: Path) -> None:
    recipe = write_recipe(tmp_path, report_to="tensorboard")
    lost = subprocess.run(
        [sys.executable, "-c", DIES_AFTER_STEP_7, "--config", str(recipe)], cwd=repository, check=False
    )
    assert lost.returncode == 9
    assert pretrain(recipe).returncode == 0
    events = EventAccumulator(str(tmp_path / "tracking"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [step for step, _ in losses(tmp_path)]


def test_a_tracker_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    check_tracker("none")
    with pytest.raises(UserError, match="pip install tensorboard"):
        check_tracker("tensorboard")


def test_nested_numbers_are_flat_and_the_step_is_no_number() -> None:
    record = {"step": 3, "loss": 1.0, "validation": {"loss": 2.0, "by_source": {"a": 3.0, "b": None}}}
    assert flat(record) == {"loss": 1.0, "validation/loss": 2.0, "validation/by_source/a": 3.0}
