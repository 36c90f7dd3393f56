"""Run a pre-registered study to its end, or go on with it, on this machine or on the next one.

    make study NAME=halves         # what is missing of its runs, then its analysis
    python -m mulfact.experiment.study --name halves --jobs 2 --blocks 1     # one more block of runs at most

docs/studies/<name>/plan.md says what is asked and how it will be answered, study.yaml beside it which runs that takes.
Runs are made in blocks, all arms of a seed or both halves of a pair, in the order of the seeds: whatever the time left
allows is a balanced design, and no result decides how many blocks there are. When a run ends, its record goes to
runs/<arm>/seed-<n> beside the plan: what the analysis reads, and no weights. A recorded run is never made again, so
records that are committed let another machine go on. The analysis starts when every run has a record, not before; a
study that is closed early, by fewer seeds in study.yaml, is exploratory, for its records say how many it was to have.
"""

import argparse
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from mulfact.command_line import Blocks, Jobs
from mulfact.errors import UserError, command
from mulfact.halves import half_names
from mulfact.layout import (
    READINESS,
    STOPPED,
    STUDY,
    STUDY_RECORD,
    TRAINED,
    last_written,
    output_of,
    run_folder,
    run_level,
)
from mulfact.provenance import PROVENANCE, hash_file, read_provenance, write_json
from mulfact.settings import load_yaml

STUDIES = Path("docs/studies")
KEPT = {".json", ".jsonl", ".parquet", ".yaml"}
BIGGEST = 400_000  # bytes of a file that a record may hold
# What a stage's output holds beside its results, by name.
LEFT_OUT = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "completions.jsonl", "adapter"}
TEXTS = ("prompt", "text", "token_ids", "completion", "completions")  # of a table: kept of the first block alone


@dataclass(frozen=True)
class Study:
    """study.yaml: the runs of a study. `pairs` for crossed halves of one arm, else `conditions` and `seeds`."""

    name: str
    scale: str
    conditions: list[str]
    seeds: list[int] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    pairs: int = 0
    overrides: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return STUDIES / self.name

    @property
    def records(self) -> Path:
        """A folder as that of a scale, with a record in the place of each run."""
        return self.folder / "runs"

    @property
    def outputs(self) -> Path:
        """Where its runs are made: apart from the user's own experiments."""
        return Path("outputs") / "studies" / self.name

    @property
    def shared_dir(self) -> Path:
        return self.outputs / self.scale

    def blocks(self) -> Iterator[list[tuple[str, int]]]:
        """Yield condition and seed of the runs that belong together, in the order in which they are made."""
        if self.pairs:
            for pair in range(self.pairs):
                yield [(name, pair) for name in half_names(self.conditions[0], pair)]
        for seed in self.seeds:
            yield [(name, seed) for name in (*self.conditions, *self.controls)]

    def missing(self, block: list[tuple[str, int]]) -> list[tuple[str, int]]:
        return [run for run in block if not (run_folder(self.records, *run) / STUDY_RECORD).is_file()]

    def make(self, target: str, block: list[tuple[str, int]], jobs: int) -> list[str]:
        """Return the command of a target for the runs of a block."""
        controls = {"CONTROLS": " ".join(self.controls)} if self.controls else {}
        arms = dict.fromkeys(name for name, _ in block if name not in self.controls)
        variables = {
            "SCALE": self.scale, "OUTPUTS": str(self.outputs), "CONDITIONS": " ".join(arms), **controls,
            "SEEDS": " ".join(map(str, dict.fromkeys(seed for _, seed in block))), "JOBS": str(jobs),
            "OVERRIDES": " ".join(self.overrides), "CONDITION": block[0][0], "SEED": str(block[0][1]),
        }  # fmt: skip
        return ["make", "--no-print-directory", target, *(f"{key}={value}" for key, value in variables.items())]


def read_study(name: str) -> Study:
    """Return the study of that name. Raises UserError without its plan, or for a setting that does not exist."""
    folder = STUDIES / name
    for file in ("plan.md", STUDY):
        if not (folder / file).is_file():
            known = sorted(path.parent.name for path in STUDIES.glob(f"*/{STUDY}"))
            raise UserError(f"{folder / file} is missing; studies with a plan: {', '.join(known) or 'none'}")
    settings = load_yaml(folder / STUDY)
    try:
        study = Study(name, **settings)
    except TypeError as error:
        raise UserError(f"{folder / STUDY}: {error}; valid: {', '.join(Study.__dataclass_fields__)}") from None
    if bool(study.pairs) == bool(study.seeds):
        raise UserError(f"{folder / STUDY}: give either pairs, for crossed halves, or seeds")
    return study


def committed(path: Path) -> str:
    """Return the time at which a file was committed as it is. Raises UserError when it was not: a plan comes first."""
    asked = ["git", "log", "-1", "--format=%cI", "--", str(path)]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    asked = ["git", "status", "--porcelain", "--", str(path)]
    changed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    if not found or changed:
        raise UserError(
            f"{path} is not committed as it is: a plan is committed before the first run, with what changed"
        )
    return found


def record_run(study: Study, condition: str, seed: int, plan: dict[str, str]) -> Path:
    """Copy what the analysis reads of a finished run to its record; return the record's folder."""
    source, target = run_folder(study.shared_dir, condition, seed), run_folder(study.records, condition, seed)
    shutil.rmtree(target, ignore_errors=True)
    stages = [*(path for stage in TRAINED if (path := output_of(source, stage)).is_dir())]
    stages += [path for name in (READINESS, "eval", "curve", "recipes") if (path := source / name).is_dir()]
    whole = (condition, seed) in next(study.blocks())
    for stage in stages:
        for path in sorted(stage.rglob("*")):
            if path.suffix in KEPT and path.name not in LEFT_OUT and not path.is_symlink():
                copy(path, target / path.relative_to(source), whole)
    for name in ("ledger.json", STOPPED):
        if (source / name).is_file():
            copy(source / name, target / name, whole)
    for path in sorted((source.parent / "tokens").glob("*")):  # of the arm
        if path.name in ("manifest.json", PROVENANCE) or path.name.startswith("validation-"):
            copy(path, target.parent / "tokens" / path.name, whole)
    for provenance in (*target.rglob(PROVENANCE), *(target.parent / "tokens").glob(PROVENANCE)):
        account_for_copies(provenance.parent)
    asked = {"pairs": study.pairs} if study.pairs else {"seeds": study.seeds}
    write_json(target / STUDY_RECORD, {"study": study.name, "condition": condition, "seed": seed, **asked, **plan})
    return target


def copy(source: Path, target: Path, whole: bool) -> None:
    """Copy a file; a table without the texts of its rows, unless `whole`."""
    if source.stat().st_size > BIGGEST and source.suffix != ".parquet":
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.suffix != ".parquet":
        shutil.copyfile(source, target)
        return
    table = pq.read_table(source)
    for name in [] if whole else [name for name in TEXTS if name in table.column_names]:
        column = table.schema.get_field_index(name)
        kind = table.schema.field(name).type
        empty = pa.array([None] * len(table), kind) if kind != pa.string() else pa.array([""] * len(table))
        table = table.set_column(column, name, empty)
    pq.write_table(table, target, compression="zstd")


def account_for_copies(folder: Path) -> None:
    """Let the provenance of a recorded stage tell of the files that are held, and beside them of what it wrote."""
    record = read_provenance(folder)
    written = record.get("written", record["outputs"])
    held = {name: (one, folder / name) for name, one in written.items() if (folder / name).is_file()}
    record["written"] = written
    record["outputs"] = {
        name: one | {"bytes": path.stat().st_size, "sha256": hash_file(path)} for name, (one, path) in held.items()
    }
    write_json(folder / PROVENANCE, record)


def finished(study: Study, condition: str, seed: int) -> bool:
    """Return whether the last stages of a run have written their records."""
    run = run_folder(study.shared_dir, condition, seed)
    last = ("curve",) if study.pairs else ("eval", "ledger")
    return all(last_written(run, stage).is_file() for stage in last)


def analyse(study: Study) -> None:
    """Write the answer beside the plan, by the commands that answer any experiment, from the records."""
    runs = [run for block in study.blocks() for run in block]
    kind = ["--halves", str(study.pairs)] if study.pairs else ["--seeds", *map(str, study.seeds), "--experiment"]
    kind += ["--controls", *study.controls] if study.controls else []
    place = ["--outputs", str(study.outputs), "--scale", study.scale]
    prepare = [sys.executable, "-m", "mulfact.experiment.prepare", *place, "--conditions", *study.conditions, *kind]
    call([*prepare, "--set", *study.overrides])
    settings = {"output_dir": study.folder / "report", "shared_dir": study.records}
    if study.pairs:
        (arm,) = study.conditions
        program, recipe = "evals/halves.py", study.shared_dir / "halves" / arm / "recipes" / "halves.yaml"
    else:
        settings["plan"] = study.folder / "plan.md"
        for target in ("benchmarks", "posttrain"):  # built again where the runs were made on another machine
            call(study.make(target, runs[:1], 1))
        program, recipe = "evals/compare.py", study.shared_dir / "recipes" / "compare.yaml"
    flags = [word for key, value in settings.items() for word in (f"--{key}", str(value))]
    call([sys.executable, program, "--config", str(recipe), *flags])


def call(words: list[str]) -> None:
    """Run a command that tells its own errors, and leave with its status where it fails."""
    if status := follow(words):
        sys.exit(status)


def follow(words: list[str]) -> int:
    """Run a command to its end and return its status. A SIGTERM is passed on; a Ctrl-C reaches it by itself."""
    started: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if started:
            started[0].terminate()
        else:
            early.append(number)

    # Set before the start: an exception in the middle of it would leave behind a command that nobody waits for.
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, pass_on),
              signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None)}  # fmt: skip
    try:
        started.append(subprocess.Popen(words))
        if early:
            started[0].terminate()
        return started[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Run what is missing of a pre-registered study, then its analysis.")
    parser.add_argument("--name", required=True, help="a folder of docs/studies with plan.md and study.yaml")
    parser.add_argument("--jobs", nargs="*", action=Jobs, default=2, help="runs side by side")
    parser.add_argument("--blocks", nargs="*", action=Blocks, help="make at most so many blocks of runs now")
    options = parser.parse_args()
    study = read_study(options.name)
    committed(study.folder / STUDY)
    plan = {"plan_committed": committed(study.folder / "plan.md"), "plan_sha256": hash_file(study.folder / "plan.md")}
    blocks = list(study.blocks())
    made = 0
    for number, block in enumerate(blocks, 1):
        missing = study.missing(block)
        if not missing or made == options.blocks:
            continue
        made += 1
        names = ", ".join(run_level(*run) for run in missing)
        print(f"{study.name}: block {number} of {len(blocks)}: {names}", flush=True)
        status = follow(study.make("curves" if study.pairs else "runs", missing, options.jobs))
        for run in missing:
            if finished(study, *run):
                print(f"recorded: {record_run(study, *run, plan)}", flush=True)
        if status:
            raise UserError(f"block {number} did not end; make study NAME={study.name} goes on from what is recorded")
    left = sum(len(study.missing(block)) for block in blocks)
    if left:
        print(f"{study.name}: {left} runs are to do; make study NAME={study.name} goes on. Nothing is analysed before.")
        return
    analyse(study)


if __name__ == "__main__":
    main()
