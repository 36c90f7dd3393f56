"""Account for the compute of one run, stage by stage, from what the stages left behind.

    python evals/ledger.py --config outputs/smoke/mulfact/seed-0/recipes/ledger.yaml
    python evals/ledger.py --run_dir outputs/smoke/mulfact/seed-0 --output ledger.json

A stage has two parts. `matched` is what arms must share, field by field, and what `compare` holds against each other:
the shapes, the settings and the FLOPs that follow from them. `reported` is what the tokenizer is free to change (bytes
read, labels, tokens sampled) and what the machine decides (seconds, memory). docs/protocol.md says why each field
stands where it does. Counts come from the trainers' logs and the model folders; recipes supply settings, never counts.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mulfact.errors import UserError, command
from mulfact.evals.flops import ModelShape, backward_flops, forward_flops, generation_flops
from mulfact.evals.stage_records import (
    LOSS_KEYS,
    SAMPLING_KEYS,
    chosen,
    last_value,
    mean_value,
    model_fields,
    peak_memory,
    processes_of,
    read_json,
    rollouts_per_generation,
    speed,
    trl_settings,
)
from mulfact.modeling.readiness_record import is_stopped
from mulfact.provenance import PROVENANCE, git_state, input_hash, read_provenance, write_json
from mulfact.recipe import parse

SCHEMA = "mulfact-ledger/1"

Stage = dict[str, dict[str, Any]]


@dataclass
class LedgerArguments:
    run_dir: str = field(metadata={"help": "Folder of one run, with pretrain_final, sft_final and grpo_final."})
    output: str = field(metadata={"help": "JSON file to write."})


@command
def main() -> None:
    arguments = parse(LedgerArguments)
    ledger = account(Path(arguments.run_dir))
    Path(arguments.output).parent.mkdir(parents=True, exist_ok=True)
    write_json(Path(arguments.output), ledger)
    show(ledger)
    print(arguments.output)


def account(run_dir: Path) -> dict[str, Any]:
    """Return the ledger of a run, without GRPO where its gate stopped it.

    Raises UserError when a stage is missing, incomplete or not of fixed compute.
    """
    accountants: dict[str, Callable[[Path], Stage]] = {"pretrain": pretrain, "sft": sft, "grpo": grpo}
    if is_stopped(run_dir):
        del accountants["grpo"]
    folders = {stage: run_dir / f"{stage}_final" for stage in accountants}
    for stage, folder in folders.items():
        if not (folder / PROVENANCE).is_file():
            scale, condition, seed = run_dir.resolve().parts[-3:]
            raise UserError(
                f"{folder} is not finished: run make {stage} SCALE={scale} CONDITION={condition} "
                f"SEED={seed.removeprefix('seed-')}"
            )
    return {
        "schema": SCHEMA,
        "git": git_state(),
        "inputs": {folder.name: input_hash(folder) for folder in folders.values()},
        "stages": {stage: accountant(folders[stage]) for stage, accountant in accountants.items()},
    }


def pretrain(folder: Path) -> Stage:
    """Return the account of pretraining: every position is a token of the stream and has a label."""
    summary = read_json(folder / "training_summary.json")
    shape, length = ModelShape.load(folder), summary["sequence_length"]
    forward = forward_flops(shape, summary["tokens"] // length, length)
    backward = backward_flops(forward)
    matched = {
        **model_fields(folder, shape),
        "sequence_length": length,
        "tokens_per_step": summary["tokens_per_step"],
        "steps": summary["steps"],
        "positions": summary["tokens"],
        "precision": summary["precision"],
        "optimizer": summary["optimizer"],
        "schedule": summary["schedule"],
        "flops_forward": forward,
        "flops_backward": backward,
    }
    reported = {
        "raw_bytes": summary["bytes"],
        "epochs": summary["epochs"],
        "label_tokens": summary["tokens"],
        "peak_memory_bytes": summary["peak_memory_bytes"],
        **speed(folder, summary["tokens"], forward + backward, summary["seconds"], summary["num_processes"]),
        "tokens_per_second": summary["tokens_per_second"],
    }
    return {"matched": matched, "reported": reported}


def sft(folder: Path) -> Stage:
    """Return the account of SFT: each row is padded to max_length, so that a step has the same positions in every arm.

    FLOPs are those of all positions, padding included, through the whole model: TRL's fused head leaves out positions
    without a label on a GPU, and that saving, which follows the label tokens, is not counted. Label tokens and
    truncated examples are those of the training rows, times the epochs read.
    Raises UserError when the recipe pads to another length, since the positions of a step then depend on the tokenizer.
    """
    recipe, state = read_provenance(folder)["recipe"], read_json(folder / "trainer_state.json")
    length = recipe.get("max_length")
    if recipe.get("packing") or not length or recipe.get("pad_to_multiple_of") != length:
        raise UserError(
            f"{folder}: positions per step are not fixed (packing {recipe.get('packing', False)}, max_length {length}, "
            f"pad_to_multiple_of {recipe.get('pad_to_multiple_of')}); set sft.packing=false and "
            "sft.pad_to_multiple_of=${sft.max_length}, then run make sft again"
        )
    split = read_json(folder / "lengths.json")["splits"][recipe.get("dataset_train_split", "train")]
    processes = processes_of(state, recipe, split["rows"])
    rows_per_step = state["train_batch_size"] * recipe.get("gradient_accumulation_steps", 1) * processes
    examples = rows_per_step * state["global_step"]
    shape = ModelShape.load(folder)
    forward = forward_flops(shape, examples, length)
    backward = backward_flops(forward, frozen=bool(recipe.get("use_peft")))
    matched = {
        **model_fields(folder, shape),
        "sequence_length": length,
        "examples_per_step": rows_per_step,
        "tokens_per_step": rows_per_step * length,
        "steps": state["global_step"],
        "positions": examples * length,
        **trl_settings(recipe),
        "flops_forward": forward,
        "flops_backward": backward,
    }
    epochs = examples / split["rows"]
    reported = {
        "examples": examples,
        "epochs": epochs,
        "real_tokens": round(last_value(state, "num_tokens")),
        "label_tokens": round(split["label_tokens"] * epochs),
        "truncated_examples": round(split["too_long"] * epochs),
        "peak_memory_bytes": peak_memory(folder),
        **speed(folder, examples * length, forward + backward, None, processes),
    }
    return {"matched": matched, "reported": reported}


def grpo(folder: Path) -> Stage:
    """Return the account of GRPO: the budget of its rollouts is matched, what they really took is reported.

    The budget lets every rollout run to max_completion_length. It leaves the prompts out, because their length in
    tokens is the tokenizer's own. The FLOPs really spent, from the logged lengths of prompts and completions, stand
    under `reported`: an arm that says the same in fewer tokens spends less of its budget.
    """
    recipe, state = read_provenance(folder)["recipe"], read_json(folder / "trainer_state.json")
    shape, longest, steps = ModelShape.load(folder), recipe["max_completion_length"], state["global_step"]
    batch = rollouts_per_generation(folder)
    accumulation, iterations = recipe.get("gradient_accumulation_steps", 1), recipe.get("num_iterations", 1)
    generate_every = (recipe.get("steps_per_generation") or accumulation) * iterations / accumulation
    rollouts = batch * math.ceil(steps / generate_every)
    passes = Passes(
        updates=iterations,
        reference=bool(recipe.get("beta", 0.0)),
        old_policy=generate_every > 1 or bool(recipe.get("use_vllm")),
        frozen=bool(recipe.get("use_peft")),
    )
    budget = grpo_flops(shape, passes, rollouts, 0, longest)
    matched = {
        **model_fields(folder, shape),
        "sequence_length": longest,
        "updates": steps,
        "rollouts": rollouts,
        "rollouts_per_update": rollouts / steps,
        "generations_per_prompt": recipe["num_generations"],
        "prompts_per_update": rollouts / steps / recipe["num_generations"],
        "updates_per_rollout": iterations,
        "tokens_per_step": round(rollouts / steps * longest),
        "beta": recipe.get("beta", 0.0),
        "sampling": chosen(recipe, SAMPLING_KEYS),
        "loss": {"rewards": recipe["reward_funcs"], **chosen(recipe, LOSS_KEYS)},
        **trl_settings(recipe),
        **{f"flops_{part}": count for part, count in budget.items()},
    }
    completion = mean_value(state, "completions/mean_length")
    tokens = last_value(state, "num_tokens")
    prompt = max(tokens / rollouts - completion, 0.0)
    spent = grpo_flops(shape, passes, rollouts, prompt, completion)
    processes = max(
        1, round(batch / (state["train_batch_size"] * (recipe.get("steps_per_generation") or accumulation)))
    )
    reported = {
        "prompt_tokens": round(prompt * rollouts),
        "generated_tokens": round(completion * rollouts),
        "tokens_per_rollout": completion,
        "truncated_rollouts": round(mean_value(state, "completions/clipped_ratio") * rollouts),
        **{f"flops_{part}_spent": count for part, count in spent.items()},
        "flops_spent": sum(spent.values()),
        "peak_memory_bytes": peak_memory(folder),
        **speed(folder, tokens, sum(spent.values()), None, processes),
    }
    return {"matched": matched, "reported": reported}


@dataclass(frozen=True)
class Passes:
    """Which passes a rollout goes through after it was sampled."""

    updates: int  # forward and backward passes of the policy
    reference: bool  # a forward pass of the reference model, for the KL term
    old_policy: bool  # a forward pass of the policy that sampled it, when it is trained on later than sampled
    frozen: bool  # LoRA: the base weights get no gradient


def grpo_flops(shape: ModelShape, passes: Passes, rollouts: int, prompt: float, completion: float) -> dict[str, int]:
    """Return the FLOPs by part for rollouts with `prompt` + `completion` tokens; only completions are scored."""
    scored = forward_flops(shape, rollouts, prompt + completion, scored=completion)
    return {
        "generation": generation_flops(shape, rollouts, prompt, completion),
        "reference": scored if passes.reference else 0,
        "old_policy": scored if passes.old_policy else 0,
        "forward": passes.updates * scored,
        "backward": passes.updates * backward_flops(scored, passes.frozen),
    }


def show(ledger: dict[str, Any]) -> None:
    """Print the ledger as a table, a column a stage."""
    table = Table(title="Compute ledger")
    table.add_column("field", no_wrap=True)
    stages = ledger["stages"]
    for stage in stages:
        table.add_column(stage, justify="right")
    for part in ("matched", "reported"):
        fields = dict.fromkeys(name for stage in stages.values() for name in stage[part])
        for name in fields:
            table.add_row(name, *(readable(stage[part].get(name)) for stage in stages.values()))
        table.add_section()
    Console().print(table)


def readable(value: Any) -> str:
    """Return a field as short text: thousands in groups, large counts in powers of ten."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key} {readable(item)}" for key, item in value.items())
    if isinstance(value, bool | str | list):
        return str(value)
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


if __name__ == "__main__":
    main()
