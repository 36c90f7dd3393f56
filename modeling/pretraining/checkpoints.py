"""Checkpoints of an unfinished run: ordinary Hugging Face folders plus what Accelerate needs to go on.

    pretrain_checkpoints/step-00000100/   config.json, model.safetensors, ... (AutoModelForCausalLM loads it)
                                          optimizer.bin, random_states_0.pkl  (Accelerate)
                                          state.json                          (the step, what the run was made from)

A checkpoint is written under another name and renamed, so each one that carries its name was whole. What a disk has
done to it since is found by the hashes of its files: it is renamed to step-00000100.damaged, and the run goes on from
the one before.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import load_model
from transformers import GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.pretrain_arguments import HOUSEKEEPING
from mulfact.modeling.pretraining.launch import is_lost_connection
from mulfact.modeling.set_aside import aside_message, aside_name
from mulfact.provenance import hash_file, write_json

STATE = "state.json"
STATE_KEYS = {"distributed_type", "num_processes", "identity", "run", "files"}
# Settings that may change between two parts of a run: they do not enter the curve.
OPERATIONAL = (
    "output_dir", "checkpoint_dir", "curve_dir", "tokenizer", "tokens", "micro_batch_size", "eval_steps", *HOUSEKEEPING,
)  # fmt: skip


class Checkpoints:
    """The checkpoints in `folder` of the run that `identity` describes (its settings and its input hashes)."""

    def __init__(self, folder: str | Path, identity: dict[str, Any], keep: int, accelerator: Accelerator) -> None:
        self.folder, self.keep, self.accelerator = Path(folder), keep, accelerator
        self.identity = {key: value for key, value in identity.items() if key not in OPERATIONAL}

    def attach(self, model: GPT2LMHeadModel) -> None:
        """Let Accelerate's save_state and load_state write and read `model` as a Hugging Face folder."""

        def save(models: list[Any], weights: list[Any], output_dir: str) -> None:
            if self.accelerator.is_main_process:
                model.save_pretrained(output_dir)
            weights.clear()

        def load(models: list[Any], input_dir: str) -> None:
            if models:  # DeepSpeed has loaded its own copy already
                load_model(model, Path(input_dir) / "model.safetensors")
                models.clear()

        self.accelerator.register_save_state_pre_hook(save)
        self.accelerator.register_load_state_pre_hook(load)

    def paths(self) -> list[Path]:
        """Return the checkpoint folders, oldest first."""
        return sorted(path for path in self.folder.glob("step-*") if not path.suffix)

    def resume(self) -> dict[str, Any] | None:
        """Load the newest whole checkpoint and return what `save` was given; None when there is none.

        Checkpoints of another recipe or other inputs are set aside under a new name: this run then starts anew, and the
        hours that went into them are not lost.
        """
        if self.accelerator.is_main_process:
            self._put_away_what_is_broken()
        self.accelerator.wait_for_everyone()
        paths = self.paths()
        if not paths:
            return None
        path, state = paths[-1], read_state(paths[-1])
        differing = [key for key in self.identity if state["identity"].get(key) != self.identity[key]]
        if differing:
            self._set_aside(differing)
            return None
        here = (str(self.accelerator.distributed_type), self.accelerator.num_processes)
        saved = (state["distributed_type"], state["num_processes"])
        if here != saved and "DEEPSPEED" in f"{here} {saved}":
            raise UserError(
                f"{path} was written by {saved[1]} processes ({saved[0]}), and {here[1]} ({here[0]}) are running: "
                "DeepSpeed divides the optimizer between its processes, so launch the run as it was"
            )
        self.accelerator.load_state(str(path))
        self.accelerator.step = 0  # micro-batches in the step under way: none, also when their number has changed
        return state["run"]

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write the checkpoint of `step` and prune the older ones. Raises UserError when it cannot be written."""
        final = self.folder / f"step-{step:08d}"
        partial = final.with_name(final.name + ".partial")
        if self.accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        self.accelerator.wait_for_everyone()
        try:
            self.accelerator.save_state(str(partial))
            self.accelerator.wait_for_everyone()
            if self.accelerator.is_main_process:
                self._write_state(partial, state)
                shutil.rmtree(final, ignore_errors=True)
                partial.rename(final)
        except (OSError, RuntimeError, SafetensorError) as error:
            if is_lost_connection(error):
                raise
            free = shutil.disk_usage(self.folder).free
            shutil.rmtree(partial, ignore_errors=True)
            raise UserError(
                f"the checkpoint of step {step} could not be written to {partial} ({error}); free bytes on that disk: "
                f"{free}. Make room and run the same command again: it goes on from the checkpoint before"
            ) from error
        if self.accelerator.is_main_process:
            self._prune(final)
        self.accelerator.wait_for_everyone()
        return final

    def _write_state(self, partial: Path, state: dict[str, Any]) -> None:
        launched = {
            "distributed_type": str(self.accelerator.distributed_type),
            "num_processes": self.accelerator.num_processes,
        }
        files = {p.relative_to(partial).as_posix(): hash_file(p) for p in partial.rglob("*") if p.is_file()}
        write_json(partial / STATE, {**launched, "identity": self.identity, "run": state, "files": files})

    def remove(self) -> None:
        """Remove the folder: the run is finished and published."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _prune(self, written: Path) -> None:
        """Keep the one just written, the newest `keep`, and the one with the lowest validation bits per byte."""
        paths = self.paths()
        scores = {path: read_state(path).get("run", {}).get("bits_per_byte") for path in paths}
        scored = [path for path, score in scores.items() if score is not None and math.isfinite(score)]
        best = min(scored, key=lambda path: scores[path], default=None)
        for path in paths[: -self.keep]:
            if path not in (best, written):
                shutil.rmtree(path)

    def _put_away_what_is_broken(self) -> None:
        """Remove what a killed save has left, and rename damaged checkpoints down to the newest one that is whole."""
        for partial in self.folder.glob("step-*.partial"):
            shutil.rmtree(partial)
        for path in reversed(self.paths()):
            fault = find_fault(path)
            if fault is None:
                return
            damaged = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(damaged, ignore_errors=True)
            path.rename(damaged)
            self.accelerator.print(f"{path}: {fault}; it is now {damaged.name}, and the one before it is taken")

    def _set_aside(self, differing: list[str]) -> None:
        aside = aside_name(self.folder)
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            self.folder.rename(aside)
        self.accelerator.wait_for_everyone()
        self.accelerator.print(aside_message(self.folder, aside, differing))


def read_state(path: Path) -> dict[str, Any]:
    """Return the state of a checkpoint; empty when it cannot be read."""
    try:
        state = json.loads((path / STATE).read_text())
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) and state.keys() >= STATE_KEYS else {}


def find_fault(path: Path) -> str | None:
    """Return what is wrong with the files of a checkpoint, if anything: all of them are read."""
    state = read_state(path)
    if not state:
        return f"no readable {STATE}"
    for name, sha256 in state["files"].items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if hash_file(path / name) != sha256:
            return f"{name} is not as it was written"
    return None
