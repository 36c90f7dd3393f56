"""What stands around TRL's own commands: checks before `trl sft` and `trl grpo`, and a finished stage after them.

    python modeling/trl_stage.py prepare --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml
    python modeling/supervise.py --folder outputs/smoke/mulfact/seed-0/sft_training -- \
        trl sft --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml
    python modeling/trl_stage.py finish --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml \
        --evaluation outputs/smoke/mulfact/seed-0/recipes/eval.yaml --output_dir outputs/smoke/mulfact/seed-0/sft_final

`prepare` counts lengths in the arm's own tokens and refuses rows that TRL would cut silently. It renames a training
folder that was made from another recipe or other inputs. It prints the flags for TRL: the share of one of several
processes in each step (modeling/posttraining/processes.py), and the checkpoint from which it goes on. It prints
`finished` when the last step is in one already, from which TRL would take one step too many.
Before GRPO it also reads what evals/readiness.py found, and refuses where there is nothing to reinforce.
`finish` turns the checkpoint of the last step into a stage folder: the model, which generates as it is evaluated
(greedy, to the same length), its tokenizer, the trainer's log, the provenance. The seconds there are those that
modeling/supervise.py counted; for a command that ran without it, those since the first `prepare`.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import ArrowInvalid

from mulfact.data_builders.lengths import measure_lengths
from mulfact.errors import UserError, command
from mulfact.locks import training_lock
from mulfact.modeling.posttraining.adapter import check_dropout, has_adapter, merge_adapter
from mulfact.modeling.posttraining.checkpoints import STATE, checkpoints, newest_whole, step_of
from mulfact.modeling.posttraining.peak_memory import RECORD as PEAK_MEMORY
from mulfact.modeling.posttraining.processes import flags, record_launch
from mulfact.modeling.posttraining.readiness_record import RECORD, check_ready
from mulfact.modeling.set_aside import aside_message, aside_name
from mulfact.modeling.supervise import read_seconds
from mulfact.provenance import COURSE, LAUNCH, input_hash, stage_output, write_json
from mulfact.settings import load_yaml
from mulfact.text_files import read_json
from mulfact.tokenizers.facts import TOKENIZER_FILES

MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors")
GENERATION = "generation_config.json"
SESSION = "session.json"
LENGTHS = "lengths.json"
COMPLETIONS = "completions"
FINISHED = "finished"  # the Makefile reads it


def prepare(recipe: dict[str, Any], readiness: Path | None = None, processes: int = 1) -> None:
    """Check the data against the model's window, set aside what cannot be resumed, print what is left to do for TRL.

    `readiness` is the folder of evals/readiness.py, before GRPO; `processes` will share the steps. Raises UserError
    when it says that it is too early, when rows would be cut, when the model or the data set is missing or incomplete,
    and while a training runs.
    """
    if recipe.get("use_vllm") and importlib.util.find_spec("vllm") is None:
        raise UserError("grpo.use_vllm is true, but vllm is not installed: install it, or set grpo.use_vllm=false")
    check_dropout(recipe)
    left = flags(recipe, processes, "sft" if readiness is None else "grpo")
    if readiness is not None:
        check_ready(readiness)
    training_dir = Path(recipe["output_dir"])
    identity = recipe | {f"files of {path}": input_hash(path) for path in stage_inputs(recipe)}
    lengths = measure_lengths(recipe)

    with training_lock(training_dir):
        keep_only(training_dir, identity)
        write_json(training_dir / LENGTHS, lengths)
        record_launch(training_dir, processes)
        if readiness is not None:
            shutil.copy2(readiness / RECORD, training_dir / RECORD)
        newest = newest_whole(training_dir, recipe["max_steps"])
    if newest is not None and step_of(newest) == recipe["max_steps"]:
        left = [FINISHED]
    elif newest is not None:
        left.append(f"--resume_from_checkpoint {newest}")
    if left:
        print(*left)


def keep_only(training_dir: Path, identity: dict[str, Any]) -> None:
    """Make `training_dir` the folder of the training that `identity` describes; one of another gives way to it."""
    identity = json.loads(json.dumps(identity))  # as it is read back
    session = read_json(training_dir / SESSION) if (training_dir / SESSION).is_file() else {}
    earlier = session.get("identity", {})
    differing = [key for key in sorted(identity | earlier) if identity.get(key) != earlier.get(key)]
    if differing:
        if checkpoints(training_dir):
            aside = aside_name(training_dir)
            training_dir.rename(aside)
            print(aside_message(training_dir, aside, differing), file=sys.stderr)
        shutil.rmtree(training_dir, ignore_errors=True)
        session = {"identity": identity, "started": time.time()}
    training_dir.mkdir(parents=True, exist_ok=True)
    write_json(training_dir / SESSION, session)


def finish(recipe: dict[str, Any], evaluation: dict[str, Any], output_dir: Path) -> None:
    """Publish the checkpoint of the last step as the stage folder `output_dir` and remove the training folder.

    What TRL saves once more at its end is not needed: a kill may come between the two.
    `evaluation` is the flat eval recipe of the run, whose generation settings the model is given.
    Raises UserError when training did not reach the recipe's last step, and while it still runs.
    """
    training_dir = Path(recipe["output_dir"])
    with training_lock(training_dir):
        last = newest_whole(training_dir, recipe["max_steps"])
        step = 0 if last is None else step_of(last)
        if last is None or step != recipe["max_steps"]:
            raise UserError(
                f"{training_dir}: training stands at step {step} of {recipe['max_steps']}; "
                "run the same make target again"
            )
        started, seconds = read_json(training_dir / SESSION)["started"], read_seconds(training_dir)
        with stage_output(output_dir, recipe, stage_inputs(recipe), started, seconds, COURSE) as folder:
            write_model(recipe, evaluation, last, folder)
            for name in (LENGTHS, LAUNCH, RECORD, PEAK_MEMORY):
                if (training_dir / name).is_file():
                    shutil.copy2(training_dir / name, folder / name)
            if (training_dir / COMPLETIONS).is_dir():
                copy_completions(training_dir / COMPLETIONS, folder / COMPLETIONS)
        shutil.rmtree(training_dir)


def write_model(recipe: dict[str, Any], evaluation: dict[str, Any], checkpoint: Path, folder: Path) -> None:
    """Write the model of a checkpoint, a whole one also with LoRA, its tokenizer and the trainer's log to `folder`."""
    base = Path(recipe["model_name_or_path"])
    if has_adapter(checkpoint):
        merge_adapter(base, checkpoint, folder)
    else:
        for name in MODEL_FILES:
            shutil.copy2(checkpoint / name, folder / name)
    for name in TOKENIZER_FILES:  # as they were: saving again must not be trusted to be the identity
        if (base / name).is_file():
            shutil.copy2(base / name, folder / name)
    generation = read_json(folder / GENERATION) if (folder / GENERATION).is_file() else {}
    write_json(folder / GENERATION, as_evaluated(generation, evaluation))
    shutil.copy2(checkpoint / STATE, folder / STATE)


def copy_completions(logged: Path, folder: Path) -> None:
    """Copy GRPO's logged completions, but for a table that a kill cut short.

    That can only be the last one: TRL writes it once more after the last checkpoint.
    """
    folder.mkdir()
    for path in sorted(logged.glob("*.parquet")):
        try:
            pq.read_metadata(path)
        except ArrowInvalid as error:
            print(f"{path} was cut short and is left out ({error})", file=sys.stderr)
        else:
            shutil.copy2(path, folder / path.name)


def as_evaluated(generation: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return a generation config that decodes as evaluation does: greedy, as long as a chain of thought may be.

    Stop strings are left out: with them `generate` works only for callers that hand it the tokenizer.
    """
    return generation | {"do_sample": False, "max_new_tokens": evaluation["generation_size"]["cot"]}


def stage_inputs(recipe: dict[str, Any]) -> list[Path]:
    """Return the folders that this stage reads: the model, and the stage folder that holds the data set."""
    return [Path(recipe["model_name_or_path"]), Path(recipe["dataset_name"]).parent]


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Check the input of a TRL command, or publish its output.")
    parser.add_argument("action", choices=["prepare", "finish"])
    parser.add_argument("--config", type=Path, required=True, help="the flat recipe that TRL's command reads")
    parser.add_argument("--output_dir", type=Path, help="with finish: the stage folder to write")
    parser.add_argument("--evaluation", type=Path, help="with finish: the flat recipe of the run's evaluation")
    parser.add_argument("--readiness", type=Path, help="with prepare: refuse where this record says: too early")
    parser.add_argument("--processes", type=int, default=1, help="with prepare: that will share the steps")
    arguments = parser.parse_args()
    recipe = load_yaml(arguments.config)
    if arguments.action == "prepare":
        prepare(recipe, arguments.readiness, arguments.processes)
    elif arguments.output_dir is None or arguments.evaluation is None:
        raise UserError("trl_stage.py finish needs --output_dir, the stage folder to write, and --evaluation")
    else:
        finish(recipe, load_yaml(arguments.evaluation), arguments.output_dir)


if __name__ == "__main__":
    main()
