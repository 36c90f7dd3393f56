"""An experiment of made-up runs as `compare` is told of it, and changes to its records."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recipe_defaults import defaults
from run_folders import write_experiment

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.runs import Run, load_runs
from mulfact.provenance import PROTOCOL, input_hash, write_json

Runs = dict[tuple[str, int], Run]
ARMS, SEEDS = ["plain", "facts"], [0, 1, 2]


def write_compared(folder: Path, gated: tuple[str, ...] = ()) -> CompareArguments:
    """Write two arms with three seeds; the second arm answers a fifth more of the items."""
    write_experiment(folder / "pilot", ARMS, SEEDS, gain=0.2, gated=gated)
    return arguments_for(folder / "pilot", ARMS, SEEDS)


def arguments_for(shared_dir: Path, conditions: list[str], seeds: list[int]) -> CompareArguments:
    changes = {
        "output_dir": str(shared_dir / "report"),
        "shared_dir": str(shared_dir),
        "conditions": conditions,
        "reference": conditions[0],
        "seeds": seeds,
        "benchmarks": str(shared_dir / "benchmarks"),
        "posttrain": str(shared_dir / "posttrain"),
        "protocol": str(PROTOCOL),
        "treatment": conditions[1],
        "attribution": dict.fromkeys(conditions[2:], "something else"),
    }
    return CompareArguments(**defaults("compare", **changes))


def load(arguments: CompareArguments) -> Runs:
    return load_runs(Path(arguments.shared_dir), arguments.conditions, arguments.seeds)


def evaluated_on_these_benchmarks(arguments: CompareArguments) -> None:
    """Let the evaluations say that they used the benchmarks as they are now."""
    edit_records(arguments, "*/*/eval", lambda record: record["inputs"].update(
        dict.fromkeys(record["inputs"], input_hash(arguments.benchmarks))))  # fmt: skip


def edit_records(arguments: CompareArguments, folders: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    for path in Path(arguments.shared_dir).glob(f"{folders}/provenance.json"):
        record = json.loads(path.read_text())
        edit(record)
        write_json(path, record)
