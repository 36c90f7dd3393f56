"""What evals/readiness.py found out about an SFT checkpoint, and what follows from it for GRPO."""

from pathlib import Path
from typing import Any

from mulfact.errors import UserError
from mulfact.layout import READINESS
from mulfact.text_files import read_json

RECORD = "readiness.json"

MIXED_ENOUGH = 0.2  # at 0.11 an H100 saw GRPO's reward stand still (docs/results/2026-11-23-h100-pilot)
FEW = ", but most groups teach nothing: choose prompts that are sometimes solved, in every arm alike"
ADVICE = (
    "The SFT checkpoint almost never finds an answer: GRPO would have nothing to reinforce; train longer, ask for "
    "easier prompts (posttrain.grpo_max_steps), or insist with OVERRIDES=readiness.force=true"
)


def sentence(record: dict[str, Any]) -> str:
    """Return what a record says, for a person."""
    found = (
        f"pass@{record['samples']} {record['pass_at_k']:.1%}, pass@1 {record['pass_at_1']:.1%} on {record['prompts']} "
        f"development prompts; {record['mixed_groups']:.1%} of the groups hold both right and wrong answers"
    )
    if record["ready"]:
        few = FEW if record["mixed_groups"] < MIXED_ENOUGH else ""
        return f"{found}: GRPO may start (threshold {record['threshold']:.0%}){few}"
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
