"""What evals/readiness.py found out about an SFT checkpoint, and what follows from it for GRPO."""

from pathlib import Path
from typing import Any

from mulfact.errors import UserError
from mulfact.layout import READINESS
from mulfact.text_files import read_json

RECORD = "readiness.json"

ADVICE = (
    "The SFT checkpoint answers nearly every prompt always or never: GRPO would have nothing to reinforce; train it "
    "longer or shorter, ask for prompts that are sometimes solved (posttrain.grpo_max_steps) in every arm alike, or "
    "insist with OVERRIDES=readiness.force=true"
)


def sentence(record: dict[str, Any]) -> str:
    """Return what a record says, for a person."""
    found = (
        f"{record['mixed_groups']:.1%} of {record['prompts']} development prompts have right and wrong answers among "
        f"{record['samples']} (pass@{record['samples']} {record['pass_at_k']:.1%}, pass@1 {record['pass_at_1']:.1%})"
    )
    if record["ready"]:
        return f"{found}: GRPO may start (threshold {record['threshold']:.0%})"
    return f"{found}: below readiness.threshold {record['threshold']:.0%}"


def read_record(folder: Path) -> dict[str, Any]:
    """Return the record of the readiness stage or of a GRPO checkpoint. Raises UserError without a readable one."""
    path = folder / RECORD
    if not path.is_file():
        raise UserError(f"{path} is missing: run evals/readiness.py first (make grpo does)")
    return read_json(path, f"delete {folder} and run its stage again")


def is_stopped(run_dir: Path) -> bool:
    """Return whether the run's record says that there is nothing to reinforce, and nobody insists.

    A run without a record, such as one that was fetched from the Hub, is not stopped.
    """
    folder = run_dir / READINESS
    return (folder / RECORD).is_file() and decision(read_record(folder)) == "stopped"


def decision(record: dict[str, Any]) -> str:
    """Return what the gate decided: passed, forced (below the threshold, but somebody insists) or stopped."""
    return "passed" if record["ready"] else "forced" if record["force"] else "stopped"


def check_ready(folder: Path) -> None:
    """Raise UserError when the record in `folder` says that there is nothing to reinforce and nobody insists."""
    record = read_record(folder)
    if decision(record) == "stopped":
        raise UserError(f"{folder}: {sentence(record)}. {ADVICE}")
