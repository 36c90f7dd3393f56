"""TRL's checkpoints of a training that has not been published: which of them is whole.

    sft_training/checkpoint-100/   model.safetensors, or adapter_model.safetensors of LoRA
                                   optimizer.pt, scheduler.pt, rng_state.pth
                                   trainer_state.json      (the step; the last file that is written)

TRL writes them in place. A kill leaves half of one, or half of its last file; a machine that is taken away may leave
any file cut short.
"""

import json
import re
import shutil
import sys
import zipfile
from pathlib import Path

from safetensors import SafetensorError, safe_open

from mulfact.modeling.posttraining.adapter import ADAPTER_FILES

STATE = "trainer_state.json"
WEIGHTS = ("model.safetensors", ADAPTER_FILES[1])


def newest_whole(training_dir: Path, max_steps: int) -> Path | None:
    """Return the newest whole checkpoint, or None; newer ones, which are broken, are removed with a line for each."""
    for checkpoint in checkpoints(training_dir):
        fault = find_fault(checkpoint, max_steps)
        if fault is None:
            return checkpoint
        print(f"{checkpoint}: {fault}; going back to the checkpoint before it", file=sys.stderr)
        shutil.rmtree(checkpoint)
    return None


def checkpoints(training_dir: Path) -> list[Path]:
    """Return TRL's checkpoint folders, newest first."""
    found = [path for path in training_dir.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=step_of, reverse=True)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def find_fault(checkpoint: Path, max_steps: int) -> str | None:
    """Return what is wrong with a checkpoint, or None. Reads headers only, and never imports torch."""
    try:
        step = json.loads((checkpoint / STATE).read_text())["global_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"no readable {STATE}"
    if step != step_of(checkpoint):
        return f"{STATE} is of step {step}"
    if step > max_steps:
        return f"the recipe ends at step {max_steps}"
    weights = [checkpoint / name for name in WEIGHTS if (checkpoint / name).is_file()]
    if not weights:
        return f"neither {' nor '.join(WEIGHTS)}"
    for path in weights:
        try:
            with safe_open(path, framework="numpy"):
                continue
        except (OSError, SafetensorError) as error:
            return f"{path.name} cannot be read ({error})"
    for path in sorted(checkpoint.glob("*.pt*")):  # torch writes ZIP archives, whose directory is at their end
        if not zipfile.is_zipfile(path):
            return f"{path.name} was cut short"
    return None
