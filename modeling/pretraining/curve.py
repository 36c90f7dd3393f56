"""The curve of a run: its weights at points spaced by the logarithm of tokens, each an ordinary Hugging Face folder.

    pretrain_checkpoints/curve/step-000480/   model.safetensors, config.json, point.json, while the run is unfinished
    pretrain_curve/step-000480/               the same with the tokenizer's files, when it is published

A folder's name is that of the revision under which the Hub keeps it. There is no optimizer: a run goes on from its
checkpoints (checkpoints.py), and what of the curve lies behind the one that it goes on from is computed again.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import Accelerator
from safetensors import SafetensorError
from transformers import GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.provenance import write_json

FOLDER = "curve"  # in the folder of the checkpoints
POINT = "point.json"  # what was read up to it: step, tokens, bytes
SPAN = 100  # of the last point to the first: before a hundredth of its training a model knows next to nothing


def curve_steps(points: int, max_steps: int) -> list[int]:
    """Return the steps of `points` points from `max_steps` / SPAN to `max_steps`, spaced by their logarithm.

    They are distinct whole steps, so a run of fewer steps than points has one after each.
    """
    points = min(points, max_steps)
    if points < 2:
        return [max_steps] * points
    steps = np.rint(np.geomspace(max(1.0, max_steps / SPAN), max_steps, points)).astype(int)
    order = np.arange(points)
    steps = np.maximum.accumulate(steps - order) + order  # each at least one behind the one before
    return np.minimum(steps, max_steps - order[::-1]).tolist()


class Curve:
    """The points of one run in `folder`, which are taken after `steps`."""

    def __init__(self, folder: Path, steps: Iterable[int], accelerator: Accelerator) -> None:
        self.folder, self.steps, self.accelerator = folder, frozenset(steps), accelerator

    def begin(self, resumed_step: int) -> None:
        """Drop what was kept after `resumed_step` and what a killed process left half written."""
        if self.accelerator.is_main_process:
            for path in self.folder.glob("step-*"):
                if path.suffix or step_of(path) > resumed_step:
                    shutil.rmtree(path)
        self.accelerator.wait_for_everyone()

    def save(self, model: GPT2LMHeadModel, consumed: dict[str, Any]) -> None:
        """Keep the weights of the step in `consumed`. Raises UserError when they cannot be written."""
        if not self.accelerator.is_main_process:
            return
        final = self.folder / f"step-{consumed['step']:06d}"
        partial = final.with_name(final.name + ".partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            model.save_pretrained(partial)
            write_json(partial / POINT, consumed)
            partial.rename(final)
        except (OSError, SafetensorError) as error:
            free = shutil.disk_usage(self.folder.parent).free
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError(
                f"the point of the curve after step {consumed['step']} could not be written to {partial} ({error}); "
                f"free bytes on that disk: {free}. Make room, or keep fewer with pretrain.curve, and run the same "
                "command again"
            ) from error

    def publish(self, folder: Path, tokenizer_files: Iterable[Path]) -> None:
        """Put every point into `folder`, each with the tokenizer; the disk holds their bytes once."""
        for path in points_of(self.folder):
            point = shutil.copytree(path, folder / path.name, copy_function=link)
            for file in tokenizer_files:
                link(file, point / file.name)


def points_of(folder: Path) -> list[Path]:
    """Return the folders of a curve's points, the earliest first."""
    return sorted((path for path in folder.glob("step-*") if not path.suffix), key=step_of)


def step_of(path: Path) -> int:
    return int(path.stem.removeprefix("step-"))


def link(source: str | Path, target: str | Path) -> None:
    """Give a file a second name; where the disk cannot, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
