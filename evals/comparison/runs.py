"""Load the runs of an experiment and refuse those that cannot be compared: missing, unequal items, unequal compute."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from mulfact.errors import UserError
from mulfact.evals.comparison.run_files import parse_json, read_file
from mulfact.evals.evaluation.use import USE_FILE
from mulfact.layout import READINESS, TRAINED, last_written, make_again, make_command, run_folder, run_level
from mulfact.modeling.posttraining.readiness_record import is_stopped, read_record
from mulfact.provenance import PROVENANCE

SEED_KEYS = {"seed", "data_seed"}  # of a recipe: all that may differ between the seeds of an arm
COLUMNS = [
    "task", "family", "item_id", "prompt", "gold", "text", "generated_tokens", "fact_tokens", "extracted", "correct",
    "correct_strict", "correct_flexible", "error_class", "truncated", "operands", "operations", "facts",
    "gold_bits_per_character",
]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """One arm with one seed: its folder and, of the stages that are compared, ledger, predictions and provenance.

    `readiness` is what the gate before GRPO found out, `use` the 2x2 of use of the stages that were asked for it.
    """

    condition: str
    seed: int
    folder: Path
    ledger: dict[str, Any]
    predictions: dict[str, pd.DataFrame]
    provenance: dict[str, dict[str, Any]]
    readiness: dict[str, Any]
    use: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return run_level(self.condition, self.seed)

    @property
    def stages(self) -> list[str]:
        """The stages that are compared, in their order."""
        return list(self.predictions)

    @property
    def recorded_folder(self) -> Path:
        """The run's folder as its stages knew it; outputs may have been moved since."""
        return Path(self.provenance["pretrain"]["recipe"]["output_dir"]).parent


def load_runs(shared_dir: Path, conditions: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int], Run]:
    """Return every run of an experiment with the stages that all of them have.

    These are the stages before GRPO where the gate stopped GRPO in any run, else all: no arm has a rule of its own.
    Raises UserError when a run has not finished.
    """
    keys = [(condition, seed) for condition in conditions for seed in seeds]
    gated = any(is_stopped(run_folder(shared_dir, *key)) for key in keys)
    return {key: load_run(shared_dir, *key, TRAINED[:-1] if gated else TRAINED) for key in keys}


def load_run(shared_dir: Path, condition: str, seed: int, stages: Sequence[str]) -> Run:
    """Return `stages` of a finished run: trained to its end, or as far as its gate let it, evaluated, accounted for.

    Raises UserError that names what is missing, and the make target of the first of it.
    """
    folder = run_folder(shared_dir, condition, seed)
    trained = TRAINED[:-1] if is_stopped(folder) else TRAINED
    needed = {stage: last_written(folder, stage) for stage in (*trained, READINESS, "eval", "ledger")}
    missing = {stage: path.relative_to(folder) for stage, path in needed.items() if not path.is_file()}
    if missing:
        raise UserError(
            f"{run_level(condition, seed)} has not finished: {folder} lacks {', '.join(map(str, missing.values()))}; a "
            f"comparison needs every stage of every run: {make_command(folder, next(iter(missing)))} writes the first "
            "of them"
        )
    ledger = read_file(folder, "ledger", "", parse_ledger)
    provenance = {
        stage: read_file(folder, stage, PROVENANCE, parse_provenance) for stage in (*stages, READINESS, "eval")
    }
    recipe = provenance["eval"]["recipe"]
    asked = [stage for stage in stages if recipe.get("use_tasks") and stage in recipe["use_stages"]]
    return Run(
        condition,
        seed,
        folder,
        ledger | {"stages": {stage: entry for stage, entry in ledger["stages"].items() if stage in stages}},
        {stage: read_file(folder, "eval", f"{stage}/predictions.parquet", parse_predictions) for stage in stages},
        provenance,
        read_record(folder / READINESS),
        {stage: read_file(folder, "eval", f"{stage}/{USE_FILE}", parse_use) for stage in asked},
    )


def stages_of(runs: Mapping[tuple[str, int], Run]) -> list[str]:
    """Return the stages that are compared, the same of every run."""
    return next(iter(runs.values())).stages


def parse_ledger(path: Path) -> dict[str, Any]:
    ledger = parse_json(path)
    return ledger | {"stages": dict(ledger["stages"])}


def parse_provenance(path: Path) -> dict[str, Any]:
    record = parse_json(path)
    return record | {key: dict(record[key]) for key in ("recipe", "inputs", "outputs")}


def parse_predictions(path: Path) -> pd.DataFrame:
    """Return the predictions of a stage with `fact_token_count`.

    Token ids stay behind: nothing here reads them, and fifty runs of them do not fit into memory.
    """
    table = pd.read_parquet(path, columns=COLUMNS)
    return table.assign(fact_token_count=table["fact_tokens"].map(len))


def parse_use(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path, columns=["item_id", "prompts", "tokens", "correct"])


def check_comparable(runs: Mapping[tuple[str, int], Run], reference: str) -> None:
    """Raise UserError unless all runs had the same compute, recipe, items and gate, arms and seeds aside.

    Each run is held against the reference arm's run of its seed, and against the first seed's run of its arm.
    """
    check_gates(runs)
    for run in runs.values():
        check_seed(run)
        check_unique_items(run)
    first_seed = next(iter(runs.values())).seed
    for run in runs.values():
        for other in (runs[reference, run.seed], runs[run.condition, first_seed]):
            check_ledgers(other, run)
            check_recipes(other, run)
            check_inputs(other, run)
            check_items(other, run)
    check_weights(runs)


def check_seed(run: Run) -> None:
    """Raise UserError when a stage was run with another seed than its folder says: a copy counts a seed twice."""
    for stage, record in run.provenance.items():
        recorded = record["recipe"].get("seed", run.seed)
        if recorded != run.seed:
            raise UserError(
                f"{run.folder} holds {stage} of seed {recorded}, by its provenance: it is not a run of seed "
                f"{run.seed}; {make_again(run.folder, stage)}"
            )


def check_weights(runs: Mapping[tuple[str, int], Run]) -> None:
    """Raise UserError when two seeds of an arm have the same weights: they are one run under two names."""
    seen: dict[tuple[str, str, str], Run] = {}
    for run in runs.values():
        for stage in run.stages:
            outputs = run.provenance[stage]["outputs"]
            for name in outputs:
                if name.endswith(".safetensors"):
                    other = seen.setdefault((run.condition, stage, outputs[name]["sha256"]), run)
                    if other is not run:
                        raise UserError(
                            f"{other.name} and {run.name} have the same {name} after {stage}: one is a copy of the "
                            f"other; {make_again(run.folder, stage)}"
                        )


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


def check_ledgers(first: Run, second: Run, declared: Collection[str] = ()) -> None:
    """Raise UserError that names the first matched field of the ledgers that differs and is not `declared`."""
    for stage in first.ledger["stages"].keys() | second.ledger["stages"].keys():
        matched = [run.ledger["stages"].get(stage, {}).get("matched", {}) for run in (first, second)]
        for key in sorted(matched[0].keys() | matched[1].keys()):
            values = [fields.get(key) for fields in matched]
            if values[0] != values[1] and f"{stage}.{key}" not in declared:
                raise UserError(
                    f"ledgers differ in {stage}.{key}: {first.name} has {values[0]!r}, {second.name} has "
                    f"{values[1]!r}; runs are compared under the same compute only: run both with the same settings"
                )


def check_recipes(first: Run, second: Run, declared: Collection[str] = ()) -> None:
    """Raise UserError when the stages' recipes differ in anything but paths, `declared` keys, and the seed of seeds."""
    free = SEED_KEYS if first.seed != second.seed else set()
    for stage in first.provenance:
        recipes = [neutral(run.provenance[stage]["recipe"], run) for run in (first, second)]
        for key in sorted((recipes[0].keys() | recipes[1].keys()) - free):
            if recipes[0].get(key) != recipes[1].get(key) and f"{stage}.{key}" not in declared:
                raise UserError(
                    f"recipes differ in {stage}.{key}: {first.name} has {recipes[0].get(key)!r}, {second.name} has "
                    f"{recipes[1].get(key)!r}; arms may differ in their tokenizer only, and seeds in their seed"
                )


def neutral(value: Any, run: Run) -> Any:
    """Return a recipe with the folders of the run, its arm and its scale taken out of its paths."""
    if isinstance(value, dict):
        return {key: neutral(below, run) for key, below in value.items()}
    if isinstance(value, list):
        return [neutral(below, run) for below in value]
    if not isinstance(value, str):
        return value
    folder = run.recorded_folder
    for name, prefix in (("<run>", folder), ("<condition>", folder.parent), ("<scale>", folder.parent.parent)):
        if value == str(prefix) or value.startswith(f"{prefix}/"):
            return name + value.removeprefix(str(prefix))
    return value


def check_inputs(first: Run, second: Run, declared: Collection[str] = ()) -> None:
    """Raise UserError when the stages read other data than each other's; `declared` inputs are stage:path.

    Two arms share what lies outside their own folders, two seeds of an arm all but the runs' own stages.
    """
    own = ("<run>",) if first.condition == second.condition else ("<run>", "<condition>")
    for stage in first.provenance:
        inputs = [
            {path: digest for path, digest in neutral_inputs(run, stage).items() if not path.startswith(own)}
            for run in (first, second)
        ]
        for path in sorted(inputs[0].keys() | inputs[1].keys()):
            if inputs[0].get(path) != inputs[1].get(path) and f"{stage}:{path}" not in declared:
                raise UserError(
                    f"inputs differ in {stage}: {path} is not the same data for {first.name} and {second.name}; "
                    f"run make {stage} again for the run that is older than it"
                )


def neutral_inputs(run: Run, stage: str) -> dict[str, str]:
    """Return the hashes of what a stage read, by path."""
    return {neutral(path, run): digest for path, digest in run.provenance[stage]["inputs"].items()}


def check_unique_items(run: Run) -> None:
    """Raise UserError when a run answered an item twice."""
    for stage, table in run.predictions.items():
        repeated = table[table.duplicated(["task", "item_id"])]
        if len(repeated):
            first = repeated.iloc[0]
            raise UserError(
                f"{run.name} answered {len(repeated)} items more than once after {stage}, such as "
                f"{first['item_id']} of {first['task']}: {make_again(run.folder, 'eval')}"
            )


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
