"""Pretrain a GPT-2 on the token shards of an arm: an Accelerate loop that ends in an ordinary Hugging Face model.

    accelerate launch --config_file accelerate_configs/cpu.yaml modeling/pretrain.py \
        --config outputs/smoke/mulfact/seed-0/recipes/pretrain.yaml
    python modeling/pretrain.py --config outputs/smoke/mulfact/seed-0/recipes/pretrain.yaml     # the same, one process

The same command goes on from the newest checkpoint of a run that was stopped. SIGTERM saves and exits with status 143.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mulfact.errors import UserError, command
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.provenance import COURSE, stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.facts import TOKENIZER_FILES

if TYPE_CHECKING:
    from mulfact.modeling.pretraining.run import Pretraining, RunState

METRICS = "metrics.jsonl"


@command
def main() -> None:
    arguments = parse(PretrainArguments)
    # torch and transformers take seconds, which --help and a mistake in the settings do not wait for.
    from mulfact.modeling.pretraining.launch import launch, resolve_precision
    from mulfact.modeling.pretraining.loop import Loop, telling_of_a_lost_process
    from mulfact.modeling.pretraining.preemption import Preemption
    from mulfact.modeling.pretraining.preflight import is_finished
    from mulfact.modeling.pretraining.progress import MetricsLog, Progress
    from mulfact.modeling.pretraining.run import Pretraining, RunState
    from mulfact.modeling.pretraining.trackers import check_tracker, start_tracker

    started = time.time()
    if is_finished(arguments):
        if os.environ.get("RANK", "0") == "0":
            print(f"{arguments.output_dir} is finished: it was trained with these settings and from these inputs")
        return
    check_tracker(arguments.report_to)
    accelerator = launch(arguments, arguments.seed)
    preemption = Preemption(accelerator)
    precision = resolve_precision(arguments.mixed_precision, accelerator.device)
    run = Pretraining(replace(arguments, mixed_precision=precision), accelerator)

    saved = run.checkpoints.resume()
    state = RunState(**saved) if saved else RunState()
    run.curve.begin(state.step)
    metrics = MetricsLog(Path(arguments.checkpoint_dir) / METRICS, state.step, accelerator.is_main_process)
    start_tracker(accelerator, arguments.report_to, Path(arguments.output_dir).parent, state.step, asdict(arguments))
    price = arguments.price_per_hour and arguments.price_per_hour * arguments.num_processes
    progress = Progress(run_label(arguments.output_dir), run.max_steps, price, accelerator.is_main_process)
    progress.start(state.step, run.parameters, run.epochs)

    Loop(run, state, metrics, progress, preemption).train()
    with telling_of_a_lost_process(run, state):
        if accelerator.is_main_process:
            publish(run, state, arguments, started)
            run.checkpoints.remove()
        accelerator.wait_for_everyone()  # a process that leaves while another one still needs it makes that one hang
        run.close()


def run_label(output_dir: str) -> str:
    """Return the last folders of a run, such as mulfact/seed-0: two runs may print on one screen."""
    return "/".join(Path(output_dir).parts[-3:-1])


def publish(run: Pretraining, state: RunState, arguments: PretrainArguments, started: float) -> None:
    """Write the curve's points, and then the finished model folder: model, tokenizer, metrics, summary, provenance.

    Raises UserError when it cannot be written; the checkpoints stand, and what was written of it makes room.
    """
    from safetensors import SafetensorError

    inputs = [arguments.tokenizer, arguments.tokens, *([arguments.bytes_as] if arguments.bytes_as else [])]
    output_dir, curve_dir = Path(arguments.output_dir), Path(arguments.curve_dir)
    # As they were: saving them again must not be trusted to be the identity.
    tokenizer = [path for name in TOKENIZER_FILES if (path := Path(arguments.tokenizer) / name).is_file()]
    try:
        shutil.rmtree(curve_dir, ignore_errors=True)
        if run.curve.steps:
            with stage_output(curve_dir, arguments, inputs, started=started, descriptions=COURSE) as folder:
                run.curve.publish(folder, tokenizer)
        with stage_output(output_dir, arguments, inputs, started=started, descriptions=COURSE) as folder:
            run.model.save_pretrained(folder)
            for path in tokenizer:
                shutil.copy2(path, folder / path.name)
            shutil.copy2(Path(arguments.checkpoint_dir) / METRICS, folder / METRICS)
            write_json(folder / "training_summary.json", summary(run, state))
    except (OSError, SafetensorError) as error:
        for folder in (output_dir, curve_dir):
            shutil.rmtree(folder.with_name(folder.name + ".partial"), ignore_errors=True)
        kept = run.checkpoints.paths()
        raise UserError(
            f"the trained model could not be written to {output_dir} ({error}); free bytes on that disk: "
            f"{shutil.disk_usage(output_dir.parent).free}. Make room and run the same command again: it goes on from "
            f"{kept[-1] if kept else 'the start: there is no checkpoint'}"
        ) from error


def summary(run: Pretraining, state: RunState) -> dict[str, Any]:
    """Return what the run cost and how it was made, for the ledger."""
    arguments = run.arguments
    tokens = run.max_steps * arguments.tokens_per_step
    return {
        "parameters": run.parameters,
        "sequence_length": arguments.sequence_length,
        "tokens_per_step": arguments.tokens_per_step,
        "steps": run.max_steps,
        "tokens": tokens,
        "bytes": run.raw_bytes(tokens),
        "epochs": run.epochs,
        "precision": arguments.mixed_precision,
        "optimizer": {
            "name": "AdamW",
            "learning_rate": arguments.learning_rate,
            "betas": [arguments.adam_beta1, arguments.adam_beta2],
            "weight_decay": arguments.weight_decay,
            "max_grad_norm": arguments.max_grad_norm,
        },
        "schedule": {
            "name": arguments.schedule,
            "warmup_steps": arguments.warmup_steps,
            "min_learning_rate_ratio": arguments.min_learning_rate_ratio,
            "decay_ratio": arguments.decay_ratio,
        },
        "seconds": round(state.seconds, 3),
        "tokens_per_second": round(tokens / state.training_seconds, 1),
        "peak_memory_bytes": state.peak_memory_bytes,
        "num_processes": arguments.num_processes,
    }


if __name__ == "__main__":
    main()
