"""TensorBoard, when a recipe asks for it, beside metrics.jsonl. One page of every stage is mulfact/experiment/live.py.

tensorboard --logdir outputs/smoke                                          # every run below that folder
"""

import importlib.util
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from mulfact.errors import UserError


def check_tracker(report_to: str) -> None:
    """Raise UserError when the package of the tracker is not installed."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        raise UserError(f"pretrain.report_to is {report_to}, which is not installed: pip install {report_to}")


def start_tracker(accelerator: Accelerator, report_to: str, run_dir: Path, step: int, settings: dict[str, Any]) -> None:
    """Start the tracker of the recipe after step `step`; nothing leaves the output folder.

    A resumed run goes on in the same place: steps that were logged before a crash and are taken again replace the old.
    """
    if report_to == "none":
        return
    accelerator.log_with = [report_to]
    accelerator.project_configuration.set_directories(str(run_dir))
    known = {key: value for key, value in settings.items() if value is not None}
    accelerator.init_trackers("tracking", config=known, init_kwargs={"tensorboard": {"purge_step": step + 1}})


def flat(record: dict[str, Any]) -> dict[str, float]:
    """Return the numbers of a metrics record, nested names joined by a slash."""
    numbers: dict[str, float] = {}
    for key, value in record.items():
        if isinstance(value, dict):
            numbers |= {f"{key}/{name}": number for name, number in flat(value).items()}
        elif value is not None and key != "step":
            numbers[key] = value
    return numbers
