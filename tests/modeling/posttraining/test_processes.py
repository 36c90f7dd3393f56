"""Several processes take the steps that one would take: how they divide them, and what they are told."""

from pathlib import Path

import pytest

from mulfact.errors import UserError
from mulfact.modeling.posttraining.processes import divide, flags, launched, record_launch


@pytest.mark.parametrize("processes", [1, 2, 4, 8, 16, 64])
@pytest.mark.parametrize(("rows", "passes"), [(16, 4), (64, 1), (32, 16), (4, 64)])
def test_the_rows_of_a_step_stay_the_same(processes: int, rows: int, passes: int) -> None:
    section = {"per_device_train_batch_size": rows, "gradient_accumulation_steps": passes}
    share = divide(section, processes)
    assert share.rows * share.accumulation * processes == rows * passes
    assert (
        share.rows == rows or share.accumulation * min(processes, passes) == passes
    )  # fewer passes before smaller ones


def test_a_generation_stays_what_its_recipe_says() -> None:
    section = {"per_device_train_batch_size": 8, "gradient_accumulation_steps": 4, "steps_per_generation": 8}
    assert divide(section, 2) == (4, 4)


def test_processes_that_cannot_share_a_step_are_refused() -> None:
    section = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2}
    with pytest.raises(UserError, match=r"PROCESSES=6 .* sft.per_device_train_batch_size 16, .* no multiple of 3"):
        divide(section, 6)


def test_trl_is_told_the_share_of_one_process() -> None:
    section = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 1}
    assert flags(section, 1, "sft") == []
    assert flags(section, 2, "sft") == ["--per_device_train_batch_size 8", "--gradient_accumulation_steps 1"]


def test_what_was_launched_is_recorded(tmp_path: Path) -> None:
    assert launched(tmp_path) is None
    record_launch(tmp_path, 4)
    assert launched(tmp_path) == 4
