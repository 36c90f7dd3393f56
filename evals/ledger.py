"""Account for the compute of one run, stage by stage, from what the stages left behind.

    python evals/ledger.py --config outputs/smoke/mulfact/seed-0/recipes/ledger.yaml
    python evals/ledger.py --run_dir outputs/smoke/mulfact/seed-0 --output ledger.json
    python evals/ledger_view.py ledger.json

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

from mulfact.errors import UserError, command
from mulfact.evals.compute.rollouts import (
    Passes,
    grpo_flops,
    read_rollouts,
    steps_per_generation,
    updates_per_generation,
    useful_and_spent_flops,
)
from mulfact.evals.compute.stage_records import (
    LOSS_KEYS,
    SAMPLING_KEYS,
    chosen,
    examples_read,
    mean_value,
    model_fields,
    peak_memory,
    read_stage_json,
    speed,
    step_of,
    trl_settings,
)
from mulfact.layout import make_command, output_of
from mulfact.modeling.gpt2.flops import ModelShape, backward_flops, forward_flops
from mulfact.modeling.posttraining.processes import launched
from mulfact.modeling.posttraining.readiness_record import is_stopped
from mulfact.provenance import PROVENANCE, git_state, input_hash, read_provenance, write_json
from mulfact.settings import parse

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
    print(arguments.output)


def account(run_dir: Path) -> dict[str, Any]:
    """Return the ledger of a run, without GRPO where its gate stopped it.

    Raises UserError when a stage is missing, incomplete or not of fixed compute.
    """
    accountants: dict[str, Callable[[Path], Stage]] = {"pretrain": pretrain, "sft": sft, "grpo": grpo}
    if is_stopped(run_dir):
        del accountants["grpo"]
    folders = {stage: output_of(run_dir, stage) for stage in accountants}
    for stage, folder in folders.items():
        if not (folder / PROVENANCE).is_file():
            raise UserError(f"{folder} is not finished: run {make_command(run_dir, stage)}")
    return {
        "schema": SCHEMA,
        "git": git_state(),
        "inputs": {folder.name: input_hash(folder) for folder in folders.values()},
        "stages": {stage: accountant(folders[stage]) for stage, accountant in accountants.items()},
    }


def pretrain(folder: Path) -> Stage:
    """Return the account of pretraining: every position is a token of the stream and has a label."""
    summary = read_stage_json(folder / "training_summary.json")
    shape, length = ModelShape.load(folder), summary["sequence_length"]
    forward = forward_flops(shape, summary["tokens"] // length, length)
    backward = backward_flops(forward)
    matched = {
        **model_fields(folder, shape),
        "sequence_length": length,
        "tokens_per_step": summary["tokens_per_step"],
        "steps": summary["steps"],
        "positions": summary["tokens"],
        "precision": "float32" if summary["precision"] == "no" else summary["precision"],
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

    Examples are counted by the epochs that the trainer went through, whose last step takes what is left of the rows.
    FLOPs are those of all positions, padding included, through the whole model: TRL's fused head leaves out positions
    without a label on a GPU, and that saving, which follows the label tokens, is not counted. Real tokens,
    label tokens and truncated examples are those of all training rows, times the epochs read: TRL's own count of tokens
    starts again at each resume.
    Raises UserError when the recipe pads to another length, since the positions of a step then depend on the tokenizer.
    """
    recipe, state = read_provenance(folder)["recipe"], read_stage_json(folder / "trainer_state.json")
    length = recipe.get("max_length")
    if recipe.get("packing") or not length or recipe.get("pad_to_multiple_of") != length:
        raise UserError(
            f"{folder}: positions per step are not fixed (packing {recipe.get('packing', False)}, max_length {length}, "
            f"pad_to_multiple_of {recipe.get('pad_to_multiple_of')}); set sft.packing=false and "
            "sft.pad_to_multiple_of=${sft.max_length}, then run make sft again"
        )
    split = read_stage_json(folder / "lengths.json")["splits"][recipe.get("dataset_train_split", "train")]
    processes, rows_per_step = step_of(folder, state, recipe, split["rows"])
    examples = examples_read(state, split["rows"], processes)
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
        "real_tokens": round((split["prompt_tokens"] + split["label_tokens"]) * epochs),
        "label_tokens": round(split["label_tokens"] * epochs),
        "truncated_examples": round(split["too_long"] * epochs),
        "peak_memory_bytes": peak_memory(folder),
        **speed(folder, examples * length, forward + backward, None, processes),
    }
    return {"matched": matched, "reported": reported}


def grpo(folder: Path) -> Stage:
    """Return the account of GRPO: the budget of its rollouts is matched, what they really took is reported.

    The budget lets every rollout run to max_completion_length. It leaves the prompts out, because their length in
    tokens is the tokenizer's own; so what was spent, prompts included, may exceed it. `flops_useful` are those of the
    rollouts' own tokens, `flops_spent` those of the rows as they were computed, padded to the longest of their batch.
    MFU and tokens per second are of the useful part.
    """
    recipe, state = read_provenance(folder)["recipe"], read_stage_json(folder / "trainer_state.json")
    shape, longest, steps = ModelShape.load(folder), recipe["max_completion_length"], state["global_step"]
    generate_every, passes = updates_per_generation(recipe), Passes.of(recipe)
    batches = read_rollouts(folder, generate_every)
    rollouts = len(batches[0].prompts) * math.ceil(steps / generate_every)
    budget = grpo_flops(shape, passes, rollouts, 0, longest)
    matched = {
        **model_fields(folder, shape),
        "sequence_length": longest,
        "updates": steps,
        "rollouts": rollouts,
        "rollouts_per_update": rollouts / steps,
        "generations_per_prompt": recipe["num_generations"],
        "prompts_per_update": rollouts / steps / recipe["num_generations"],
        "updates_per_rollout": passes.updates,
        "tokens_per_step": round(rollouts / steps * longest),
        "beta": recipe.get("beta", 0.0),
        "sampling": chosen(recipe, SAMPLING_KEYS),
        "loss": {"rewards": recipe["reward_funcs"], **chosen(recipe, LOSS_KEYS)},
        **trl_settings(recipe),
        **{f"flops_{part}": count for part, count in budget.items()},
    }
    share = rollouts / sum(len(batch.prompts) for batch in batches)  # 1 where every generation was logged
    prompt_tokens = share * sum(sum(batch.prompts) for batch in batches)
    generated_tokens = share * sum(sum(batch.completions) for batch in batches)
    useful, spent = useful_and_spent_flops(shape, recipe, batches, share)
    processes = launched(folder) or max(
        1, round(len(batches[0].prompts) / (state["train_batch_size"] * steps_per_generation(recipe)))
    )
    reported = {
        "prompt_tokens": round(prompt_tokens),
        "generated_tokens": round(generated_tokens),
        "tokens_per_rollout": generated_tokens / rollouts,
        "truncated_rollouts": round(mean_value(state, "completions/clipped_ratio") * rollouts),
        **{f"flops_{part}_spent": count for part, count in spent.items()},
        "flops_spent": sum(spent.values()),
        "flops_useful": sum(useful.values()),
        "peak_memory_bytes": peak_memory(folder),
        **speed(folder, prompt_tokens + generated_tokens, sum(useful.values()), None, processes),
    }
    return {"matched": matched, "reported": reported}


if __name__ == "__main__":
    main()
