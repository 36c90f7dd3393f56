"""Load the runs of an experiment and refuse those that cannot be compared: missing, unequal items, unequal compute."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from mulfact.errors import UserError
from mulfact.modeling.readiness_record import READINESS, is_stopped, read_record
from mulfact.provenance import PROVENANCE, read_provenance

STAGES = ("pretrain", "sft", "grpo")
COLUMNS = [
    "task", "family", "item_id", "prompt", "gold", "text", "generated_tokens", "fact_tokens", "extracted", "correct",
    "correct_strict", "correct_flexible", "error_class", "truncated", "operands", "gold_bits_per_character",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One arm with one seed: its folder and, of the stages that are compared, ledger, predictions and provenance.

    `readiness` is what the gate before GRPO found out.
    """

    condition: str
    seed: int
    folder: Path
    ledger: dict[str, Any]
    predictions: dict[str, pd.DataFrame]
    provenance: dict[str, dict[str, Any]]
    readiness: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.condition}/seed-{self.seed}"

    @property
    def stages(self) -> list[str]:
        """The stages that are compared, in their order."""
        return list(self.predictions)

    @property
    def recorded_arm(self) -> str:
        """The arm's folder as its stages knew it; outputs may have been moved since."""
        return str(Path(self.provenance["pretrain"]["recipe"]["output_dir"]).parents[1])


def load_runs(shared_dir: Path, conditions: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int], Run]:
    """Return every run of an experiment with the stages that all of them have.

    These are the stages before GRPO where the gate stopped GRPO in any run, else all: no arm has a rule of its own.
    Raises UserError when a run has not finished.
    """
    keys = [(condition, seed) for condition in conditions for seed in seeds]
    gated = any(is_stopped(run_folder(shared_dir, *key)) for key in keys)
    return {key: load_run(shared_dir, *key, STAGES[:-1] if gated else STAGES) for key in keys}


def run_folder(shared_dir: Path, condition: str, seed: int) -> Path:
    return shared_dir / condition / f"seed-{seed}"


def load_run(shared_dir: Path, condition: str, seed: int, stages: Sequence[str]) -> Run:
    """Return `stages` of a finished run: trained to its end, or as far as its gate let it, evaluated, accounted for.

    Raises UserError that names what is missing, and the make target of the first of it.
    """
    folder = run_folder(shared_dir, condition, seed)
    trained = STAGES[:-1] if is_stopped(folder) else STAGES
    needed = {f"{stage}_final/{PROVENANCE}": stage for stage in trained}
    needed |= {f"{READINESS}/{PROVENANCE}": READINESS, f"eval/{PROVENANCE}": "eval", "ledger.json": "ledger"}
    missing = {name: target for name, target in needed.items() if not (folder / name).is_file()}
    if missing:
        raise UserError(
            f"{condition}/seed-{seed} has not finished: {folder} lacks {', '.join(missing)}; a comparison needs every "
            f"stage of every run: make {next(iter(missing.values()))} SCALE={shared_dir.name} CONDITION={condition} "
            f"SEED={seed} writes the first of them"
        )
    ledger = json.loads((folder / "ledger.json").read_text())
    return Run(
        condition,
        seed,
        folder,
        ledger | {"stages": {stage: entry for stage, entry in ledger["stages"].items() if stage in stages}},
        {stage: read_predictions(folder / "eval" / stage / "predictions.parquet") for stage in stages},
        {stage: read_provenance(folder / f"{stage}_final") for stage in stages}
        | {stage: read_provenance(folder / stage) for stage in (READINESS, "eval")},
        read_record(folder / READINESS),
    )


def stages_of(runs: Mapping[tuple[str, int], Run]) -> list[str]:
    """Return the stages that are compared, the same of every run."""
    return next(iter(runs.values())).stages


def read_predictions(path: Path) -> pd.DataFrame:
    """Return the predictions of a stage with `fact_token_count`. Raises UserError when the file is not readable.

    Token ids stay behind: nothing here reads them, and fifty runs of them do not fit into memory.
    """
    try:
        table = pd.read_parquet(path, columns=COLUMNS)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({error}): delete {path.parent.parent} and run make eval") from error
    return table.assign(fact_token_count=table["fact_tokens"].map(len))


def check_comparable(runs: Mapping[tuple[str, int], Run], reference: str) -> None:
    """Raise UserError unless, seed by seed, every arm had the compute, recipe and items of the reference arm.

    The gate before GRPO must be one for all seeds as well.
    """
    check_gates(runs)
    for run in runs.values():
        other = runs[reference, run.seed]
        check_ledgers(other, run)
        check_recipes(other, run)
        check_inputs(other, run)
        check_items(other, run)


def check_gates(runs: Mapping[tuple[str, int], Run]) -> None:
    """Raise UserError when two runs were not measured against the same threshold in the same way."""
    first, *others = runs.values()
    for run in others:
        for key in ("prompts", "samples", "threshold"):
            if run.readiness[key] != first.readiness[key]:
                raise UserError(
                    f"readiness differs in {key}: {first.name} has {first.readiness[key]}, {run.name} has "
                    f"{run.readiness[key]}; the gate is the same for every run: make readiness again with one recipe"
                )


def check_ledgers(first: Run, second: Run) -> None:
    """Raise UserError that names the first matched field of the ledgers that differs."""
    for stage in first.ledger["stages"].keys() | second.ledger["stages"].keys():
        matched = [run.ledger["stages"].get(stage, {}).get("matched", {}) for run in (first, second)]
        for key in sorted(matched[0].keys() | matched[1].keys()):
            values = [fields.get(key) for fields in matched]
            if values[0] != values[1]:
                raise UserError(
                    f"ledgers differ in {stage}.{key}: {first.name} has {values[0]!r}, {second.name} has "
                    f"{values[1]!r}; arms are compared under the same compute only: run both with the same settings"
                )


def check_recipes(first: Run, second: Run) -> None:
    """Raise UserError when the stages' recipes differ in anything but the paths of the arm."""
    for stage in first.provenance:
        recipes = [neutral(run.provenance[stage]["recipe"], run) for run in (first, second)]
        for key in sorted(recipes[0].keys() | recipes[1].keys()):
            if recipes[0].get(key) != recipes[1].get(key):
                raise UserError(
                    f"recipes differ in {stage}.{key}: {first.name} has {recipes[0].get(key)!r}, "
                    f"{second.name} has {recipes[1].get(key)!r}; arms may differ in their tokenizer only"
                )


def neutral(value: Any, run: Run) -> Any:
    """Return a recipe with the arm's name taken out of its paths."""
    if isinstance(value, dict):
        return {key: neutral(below, run) for key, below in value.items()}
    if isinstance(value, list):
        return [neutral(below, run) for below in value]
    prefix = run.recorded_arm
    if isinstance(value, str) and (value == prefix or value.startswith(prefix + "/")):
        return "<condition>" + value[len(prefix) :]
    return value


def check_inputs(first: Run, second: Run) -> None:
    """Raise UserError when the stages read other data than each other's, the arms' own folders aside."""
    for stage in first.provenance:
        inputs = [shared_inputs(run.provenance[stage], run) for run in (first, second)]
        for path in sorted(inputs[0].keys() | inputs[1].keys()):
            if inputs[0].get(path) != inputs[1].get(path):
                raise UserError(
                    f"inputs differ in {stage}: {path} is not the same data for {first.name} and {second.name}; "
                    f"run make {stage} again for the run that is older than it"
                )


def shared_inputs(provenance: dict[str, Any], run: Run) -> dict[str, str]:
    """Return the hashes of what a stage read outside the arm's own folder, by path."""
    own = run.recorded_arm + "/"
    return {path: digest for path, digest in provenance["inputs"].items() if not path.startswith(own)}


def check_items(first: Run, second: Run) -> None:
    """Raise UserError when two runs did not answer the same items."""
    for stage in first.stages:
        items = [set(zip(table["task"], table["item_id"], table["gold"], strict=True)) for table in
                 (first.predictions[stage], second.predictions[stage])]  # fmt: skip
        if items[0] != items[1]:
            task, item, _ = min(items[0] ^ items[1])
            raise UserError(
                f"{first.name} and {second.name} answered different items after {stage}: "
                f"{len(items[0] ^ items[1])} are in one only, such as {item} of {task}; "
                "run make eval for both on the same benchmarks"
            )
