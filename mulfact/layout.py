"""Where the parts of an experiment lie: its folders, and the files that other stages look for by name.

    outputs/smoke/                    shared_dir: corpus/, base_tokenizer/, posttrain/, benchmarks/, report/
    outputs/smoke/mulfact/            an arm:     tokenizer/, tokens/, lengths/
    outputs/smoke/mulfact/seed-0/     a run:      pretrain_final/, sft_final/, readiness/, grpo_final/, eval/,
                                                ledger.json, pretrain_curve/, curve/
    outputs/smoke/halves/mulfact/     pairs of arms that halve its tokens: report/

Each level has recipes/ and logs/ beside what its stages write. recipes/base.yaml and the Makefile say the same in their
own languages, and tests hold them to it.
"""

from pathlib import Path
from typing import NamedTuple

from mulfact.errors import UserError
from mulfact.provenance import PROVENANCE

SHARED_STAGES = ("corpus", "base_tokenizer", "posttrain", "benchmarks")
CONDITION_STAGES = ("tokenizer", "tokens", "lengths")
RUN_STAGES = ("pretrain", "curve", "sft", "readiness", "grpo", "eval", "ledger")
TRAINED = ("pretrain", "sft", "grpo")  # those that leave a checkpoint

READINESS = "readiness"
STUDY = "study.yaml"  # beside a study's records: which runs it takes
STUDY_RECORD = "record.json"  # in a run of a study: under which plan it ran
STOPPED = "grpo_stopped.json"  # in a run: written by modeling/gate.py in place of a GRPO checkpoint
SEED = "seed-"

# What lies beside an experiment's arms, or beside its scale: an arm or a scale of that name would share its folder.
TAKEN = (
    *SHARED_STAGES, "recipes", "report", "playground", "lm_eval", "logs", "halves", "tracking", "inspect", "pulled",
    "stranger",
)  # fmt: skip
MADE_OF_OTHERS = (".partial", ".previous", ".shards")  # names of folders that come and go beside what a stage writes
# Characters. A repository of the Hub is named mulfact-<scale>-<arm>-seed<ten digits>-pretrain, with 96 in all.
LONGEST_NAME = 31


class RunName(NamedTuple):
    """What a run's folder says of it."""

    scale: str
    condition: str
    seed: int


def check_name(kind: str, name: str) -> None:
    """Raise UserError for the name of an arm or a scale that a folder or a repository cannot have."""
    plain = name.isascii() and all(sign.isalnum() or sign in "_-." for sign in name)
    if not plain or name.strip("-.") != name or "--" in name or ".." in name or not 0 < len(name) <= LONGEST_NAME:
        raise UserError(
            f"{kind} {name!r}: expected up to {LONGEST_NAME} letters a to z, digits, _ - and ., with - and . between "
            "others alone, as the names of repositories on the Hub"
        )
    if name.lower() in TAKEN or name.startswith(SEED) or name.endswith(MADE_OF_OTHERS):
        raise UserError(f"{kind} {name!r}: a folder of that name is something else in an experiment; choose another")


def scale_of(shared_dir: Path) -> str:
    """Return the scale of an experiment's folder, or of a study's records (mulfact/experiment/study.py)."""
    from mulfact.settings import load_yaml  # with OmegaConf, which takes a third of a second

    study = shared_dir.parent / STUDY
    return str(load_yaml(study)["scale"]) if study.is_file() else shared_dir.name


def run_level(condition: str, seed: int) -> str:
    """Return the place of a run below the experiment, mulfact/seed-0."""
    return f"{condition}/{SEED}{seed}"


def run_folder(shared_dir: Path, condition: str, seed: int) -> Path:
    return shared_dir / run_level(condition, seed)


def run_name(folder: Path) -> RunName:
    """Return what the folder of a run is called by."""
    scale, condition, seed = folder.resolve().parts[-3:]
    return RunName(scale, condition, int(seed.removeprefix(SEED)))


def output_of(level: Path, stage: str) -> Path:
    """Return what a stage writes, a folder or the ledger's file; `level` is the experiment, an arm or a run."""
    if stage == "ledger":
        return level / "ledger.json"
    if stage == "compare":
        return report_folder(level)
    return level / (f"{stage}_final" if stage in TRAINED else stage)


def last_written(level: Path, stage: str) -> Path:
    """Return the file that a stage writes last: once it is there, the stage has finished."""
    output = output_of(level, stage)
    return output if output.suffix else output / PROVENANCE


def output_of_run(run: Path, stage: str) -> Path:
    """Return what a stage of a run wrote, or of its arm, or what all runs share."""
    level = run if stage in RUN_STAGES else run.parent if stage in CONDITION_STAGES else run.parent.parent
    return output_of(level, stage)


def report_folder(shared_dir: Path) -> Path:
    return shared_dir / "report"


def playground_folder(shared_dir: Path) -> Path:
    return shared_dir / "playground"


def curve_folder(run: Path) -> Path:
    """Return where pretraining keeps the weights on its way, a folder step-<n> for each point."""
    return run / "pretrain_curve"


def recipe_file(level: Path, stage: str) -> Path:
    """Return the flat recipe that a stage reads."""
    return level / "recipes" / f"{stage}.yaml"


def log_file(level: Path, stage: str) -> Path:
    """Return where the Makefile sends what a stage of an experiment prints."""
    return level / "logs" / f"{stage}.log"


def make_command(run: Path, target: str) -> str:
    """Return the command that writes the output of a make target of a run."""
    scale, condition, seed = run_name(run)
    return f"make {target} SCALE={scale} CONDITION={condition} SEED={seed}"


def make_again(run: Path, target: str) -> str:
    """Return what to do so that a make target of a run writes its output anew."""
    return f"delete {output_of_run(run, target)} and run {make_command(run, target)}"
