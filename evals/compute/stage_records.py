"""Read what a finished training stage says about itself: its weights, its recipe, its trainer's log, its clock."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from mulfact.errors import UserError
from mulfact.modeling.gpt2.flops import ModelShape, peak_flops
from mulfact.modeling.posttraining.adapter import ADAPTER, ADAPTER_FILES
from mulfact.modeling.posttraining.peak_memory import RECORD as PEAK_MEMORY
from mulfact.modeling.posttraining.processes import launched
from mulfact.provenance import read_provenance
from mulfact.text_files import read_json

OPTIMIZER_KEYS = ("learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm",
                  "use_peft", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules")  # fmt: skip
SCHEDULE_KEYS = ("warmup_steps", "lr_scheduler_kwargs")
# Of GRPO: what is sampled and what is learnt from it.
SAMPLING_KEYS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "generation_kwargs")
LOSS_KEYS = ("loss_type", "epsilon", "epsilon_high", "scale_rewards", "mask_truncated_completions", "reward_weights")


def model_fields(folder: Path, shape: ModelShape) -> dict[str, Any]:
    """Return the model's sizes, in all and those that were trained: with LoRA, the adapter's.

    Raises UserError when the weights are not those that config.json describes.
    """
    weights, adapter = folder / "model.safetensors", folder / ADAPTER / ADAPTER_FILES[1]
    stored = stored_parameters(weights)
    if stored != shape.parameters:
        raise UserError(
            f"{weights} holds {stored:,} parameters, config.json beside it describes {shape.parameters:,}; "
            f"delete {folder} and run its stage again"
        )
    return {
        "parameters": stored,
        "trainable_parameters": stored_parameters(adapter) if adapter.is_file() else stored,
        "architecture": {**asdict(shape), "n_head": read_stage_json(folder / "config.json").get("n_head")},
    }


def stored_parameters(weights: Path) -> int:
    """Return how many numbers a safetensors file holds. Raises UserError when it cannot be read."""
    try:
        with safe_open(weights, framework="numpy") as tensors:
            return sum(math.prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{weights} cannot be read ({error}); delete {weights.parent} and run its stage again"
        ) from error


def trl_settings(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return precision, optimizer and schedule of a TRL recipe; what it leaves out has TRL's default."""
    fp16 = recipe.get("fp16")
    return {
        "precision": "bf16" if recipe.get("bf16", not fp16) else "fp16" if fp16 else "float32",
        "optimizer": {
            "name": recipe.get("optim", "default"),
            **chosen(recipe, OPTIMIZER_KEYS),
        },
        "schedule": {
            "name": recipe.get("lr_scheduler_type", "linear"),
            **chosen(recipe, SCHEDULE_KEYS),
        },
    }


def chosen(recipe: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """Return those of `keys` that the recipe sets; what it leaves out has TRL's default in every arm."""
    return {key: recipe[key] for key in keys if key in recipe}


def peak_memory(folder: Path) -> int | None:
    """Return the bytes of the largest process of a TRL stage: on its GPU if that was seen, else in RAM."""
    path = folder / PEAK_MEMORY
    record = read_stage_json(path) if path.is_file() else {}
    return record.get("device_bytes") or record.get("host_bytes")


def processes_of(state: dict[str, Any], recipe: dict[str, Any], rows: int) -> int:
    """Return how many processes trained: the epochs that the trainer counted, against those of one process."""
    steps_per_epoch = state["global_step"] / state["epoch"]
    rows_per_step = state["train_batch_size"] * recipe.get("gradient_accumulation_steps", 1)
    return max(1, round(rows / steps_per_epoch / rows_per_step))


def step_of(folder: Path, state: dict[str, Any], recipe: dict[str, Any], rows: int) -> tuple[int, int]:
    """Return how many processes shared the steps of SFT, and how many rows a step of all of them had.

    A recipe says what the step is; before that was so, several processes each did what it said.
    """
    if processes := launched(folder):
        return processes, recipe["per_device_train_batch_size"] * recipe.get("gradient_accumulation_steps", 1)
    processes = processes_of(state, recipe, rows)
    return processes, state["train_batch_size"] * recipe.get("gradient_accumulation_steps", 1) * processes


def examples_read(state: dict[str, Any], rows: int, processes: int) -> int:
    """Return how many rows of SFT were read, counted by the epochs that the trainer went through.

    One process reads each row once an epoch, so that the epoch's last batch may be short; several are given whole
    batches, the last ones filled up with rows from the start.
    """
    together = state["train_batch_size"] * processes
    batches = math.ceil(rows / together)
    whole, part = divmod(state["epoch"], 1)
    return int(whole) * (rows if processes == 1 else batches * together) + min(round(part * batches) * together, rows)


def speed(folder: Path, tokens: float, flops: float, seconds: float | None, processes: int) -> dict[str, Any]:
    """Return wall-clock, tokens per second over the whole stage, and MFU where the device's peak is known.

    `seconds` None takes the stage's own wall-clock, which includes starting up and saving.
    """
    provenance = read_provenance(folder)
    seconds = seconds or provenance["seconds"]
    device = next(iter(provenance["hardware"]["gpus"]), None)
    peak = peak_flops(device)
    return {
        "seconds": seconds,
        "device": device or provenance["hardware"]["processor"],
        "processes": processes,
        "tokens_per_second": round(tokens / seconds, 1),
        "mfu": round(flops / seconds / (peak * processes), 4) if peak else None,
    }


def logged(state: dict[str, Any], key: str) -> list[float]:
    values = [entry[key] for entry in state["log_history"] if entry.get(key) is not None]
    if not values:
        raise UserError(f"trainer_state.json logs no {key}: set logging_steps=1 and run the stage again")
    return values


def mean_value(state: dict[str, Any], key: str) -> float:
    values = logged(state, key)
    return sum(values) / len(values)


def read_stage_json(path: Path) -> dict[str, Any]:
    """Return a stage's record. Raises UserError when it is missing or damaged."""
    return read_json(path, f"delete {path.parent} and run its stage again")
