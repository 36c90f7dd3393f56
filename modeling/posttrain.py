"""What stands around TRL's own commands: checks before `trl sft` and `trl grpo`, and a finished stage after them.

    python modeling/posttrain.py prepare --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml
    trl sft --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml
    python modeling/posttrain.py finish --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml \
        --evaluation outputs/smoke/mulfact/seed-0/recipes/eval.yaml --output_dir outputs/smoke/mulfact/seed-0/sft_final

`prepare` counts lengths in the arm's own tokens and refuses rows that TRL would cut silently. It removes a training
folder that was made from another recipe or other inputs, and prints the flag that lets TRL go on from a checkpoint.
Before GRPO it also reads what modeling/readiness.py found, and refuses where there is nothing to reinforce.
`finish` turns TRL's folder into a stage folder: the model, which generates as it is evaluated (greedy, to the same
length), its tokenizer, the trainer's log, the provenance.
"""

import argparse
import importlib.util
import json
import shutil
import time
from pathlib import Path
from typing import Any

from mulfact.data_builders.lengths import measure_lengths
from mulfact.errors import UserError, command
from mulfact.modeling.adapter import check_dropout, has_adapter, merge_adapter
from mulfact.modeling.peak_memory import RECORD as PEAK_MEMORY
from mulfact.modeling.readiness_record import RECORD, check_ready
from mulfact.provenance import hash_json, input_hash, stage_output, write_json
from mulfact.recipe import load_yaml
from mulfact.tokenizers.facts import TOKENIZER_FILES

MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors")
GENERATION = "generation_config.json"
SESSION = "session.json"
LENGTHS = "lengths.json"


def prepare(recipe: dict[str, Any], readiness: Path | None = None) -> None:
    """Check the data against the model's window, clear what cannot be resumed, print TRL's resume flag if it applies.

    `readiness` is the folder of modeling/readiness.py, before GRPO. Raises UserError when it says that it is too early,
    when rows would be cut, or when the model or the data set is missing or incomplete.
    """
    if recipe.get("use_vllm") and importlib.util.find_spec("vllm") is None:
        raise UserError("grpo.use_vllm is true, but vllm is not installed: install it, or set grpo.use_vllm=false")
    check_dropout(recipe)
    if readiness is not None:
        check_ready(readiness)
    training_dir = Path(recipe["output_dir"])
    fingerprint = hash_json({"recipe": recipe, "inputs": [input_hash(path) for path in stage_inputs(recipe)]})
    lengths = measure_lengths(recipe)

    session = read_json(training_dir / SESSION)
    if session.get("fingerprint") != fingerprint:
        shutil.rmtree(training_dir, ignore_errors=True)
        session = {"fingerprint": fingerprint, "started": time.time()}
    training_dir.mkdir(parents=True, exist_ok=True)
    write_json(training_dir / SESSION, session)
    write_json(training_dir / LENGTHS, lengths)
    if readiness is not None:
        shutil.copy2(readiness / RECORD, training_dir / RECORD)

    for checkpoint in checkpoints(training_dir):
        if (checkpoint / "trainer_state.json").is_file():  # the last file that the trainer writes
            print(f"--resume_from_checkpoint {checkpoint}")
            return
        shutil.rmtree(checkpoint)


def finish(recipe: dict[str, Any], evaluation: dict[str, Any], output_dir: Path) -> None:
    """Publish TRL's output folder as the stage folder `output_dir` and remove the training folder.

    `evaluation` is the flat eval recipe of the run, whose generation settings the model is given.
    Raises UserError when training did not reach the recipe's last step.
    """
    training_dir = Path(recipe["output_dir"])
    newest = next(iter(checkpoints(training_dir)), training_dir)
    state = read_json(newest / "trainer_state.json")
    if state.get("global_step") != recipe["max_steps"]:
        raise UserError(
            f"{training_dir}: training stands at step {state.get('global_step', 0)} of {recipe['max_steps']}; "
            "run the same make target again"
        )
    session = read_json(training_dir / SESSION)
    with stage_output(output_dir, recipe, stage_inputs(recipe), started=session["started"]) as folder:
        if has_adapter(training_dir):
            merge_adapter(Path(recipe["model_name_or_path"]), training_dir, folder)
        else:
            for name in MODEL_FILES:
                shutil.copy2(training_dir / name, folder / name)
        for name in TOKENIZER_FILES:  # as they were: saving again must not be trusted to be the identity
            source = Path(recipe["model_name_or_path"]) / name
            if source.is_file():
                shutil.copy2(source, folder / name)
        write_json(folder / GENERATION, as_evaluated(read_json(folder / GENERATION), evaluation))
        shutil.copy2(newest / "trainer_state.json", folder / "trainer_state.json")
        for name in (LENGTHS, RECORD, PEAK_MEMORY):
            if (training_dir / name).is_file():
                shutil.copy2(training_dir / name, folder / name)
        if (training_dir / "completions").is_dir():
            shutil.copytree(training_dir / "completions", folder / "completions")
    shutil.rmtree(training_dir)


def as_evaluated(generation: dict[str, Any], evaluation: dict[str, Any]) -> dict[str, Any]:
    """Return a generation config that decodes as evaluation does: greedy, as long as a chain of thought may be.

    Stop strings are left out: with them `generate` works only for callers that hand it the tokenizer.
    """
    return generation | {"do_sample": False, "max_new_tokens": evaluation["generation_size"]["cot"]}


def stage_inputs(recipe: dict[str, Any]) -> list[Path]:
    """Return the folders that this stage reads: the model, and the stage folder that holds the data set."""
    return [Path(recipe["model_name_or_path"]), Path(recipe["dataset_name"]).parent]


def checkpoints(training_dir: Path) -> list[Path]:
    """Return TRL's checkpoint folders, newest first."""
    return sorted(training_dir.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Check the input of a TRL command, or publish its output.")
    parser.add_argument("action", choices=["prepare", "finish"])
    parser.add_argument("--config", type=Path, required=True, help="the flat recipe that TRL's command reads")
    parser.add_argument("--output_dir", type=Path, help="with finish: the stage folder to write")
    parser.add_argument("--evaluation", type=Path, help="with finish: the flat recipe of the run's evaluation")
    parser.add_argument("--readiness", type=Path, help="with prepare: refuse where this record says: too early")
    arguments = parser.parse_args()
    recipe = load_yaml(arguments.config)
    if arguments.action == "prepare":
        prepare(recipe, arguments.readiness)
    elif arguments.output_dir is None or arguments.evaluation is None:
        raise UserError("posttrain.py finish needs --output_dir, the stage folder to write, and --evaluation")
    else:
        finish(recipe, load_yaml(arguments.evaluation), arguments.output_dir)


if __name__ == "__main__":
    main()
