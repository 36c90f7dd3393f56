"""Evaluate a checkpoint with lm-evaluation-harness too, and hold its completions and grades against ours, item by item.

    make lm_eval_agreement                    # the last checkpoint of the run CONDITION, SEED; installs lm_eval
    python evals/lm_eval_agreement.py --eval outputs/smoke/mulfact/seed-0/recipes/eval.yaml \\
        --tasks outputs/smoke/lm_eval --output_dir outputs/smoke/mulfact/seed-0/lm_eval

The weekly workflow runs it: should either harness change what it does, this says so. Exits with an error when a same
completion is graded differently, or when more than one completion in a hundred is not the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from mulfact.errors import UserError, command
from mulfact.evals.evaluate_arguments import EvalArguments
from mulfact.evals.lm_eval_tasks import PREFIX
from mulfact.settings import parse

if TYPE_CHECKING:
    import pandas as pd

LEAST_SAME = 0.99  # of completions: a tie between two tokens may fall either way where batches differ


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Compare lm-evaluation-harness with our evaluation, item by item.")
    parser.add_argument("--eval", required=True, help="the recipe of an evaluation that has run")
    parser.add_argument("--tasks", type=Path, required=True, help="what evals/lm_eval_tasks.py wrote")
    parser.add_argument("--output_dir", type=Path, required=True, help="folder for what lm_eval writes")
    options = parser.parse_args()
    if importlib.util.find_spec("lm_eval") is None:
        raise UserError("lm_eval is not installed: pip install -e '.[harness]'")
    arguments = parse(EvalArguments, ["--config", options.eval])
    import pandas as pd  # seconds, as lighteval; not paid for --help and for a mistake in the settings

    from mulfact.evals.evaluation.run import trained
    from mulfact.evals.evaluation.tasks import read_benchmarks

    stage, checkpoint = list(trained(arguments.checkpoints).items())[-1]
    names = [benchmark.name for benchmark in read_benchmarks(arguments.benchmarks)]
    ours = pd.read_parquet(Path(arguments.output_dir) / stage / "predictions.parquet")
    theirs = run_lm_eval(arguments, checkpoint, options.tasks, names, options.output_dir)
    if arguments.max_samples is not None:
        theirs = {name: rows[rows["item_id"].isin(ours["item_id"])] for name, rows in theirs.items()}
    rows = [compare(name, ours[ours["task"] == name], theirs[name]) for name in names]
    print_table(rows, checkpoint)
    check(rows)


def run_lm_eval(
    arguments: EvalArguments, checkpoint: str, tasks: Path, names: list[str], output_dir: Path
) -> dict[str, pd.DataFrame]:
    """Return for each benchmark lm_eval's completion and verdicts by item. Raises UserError when lm_eval fails."""
    output_dir.mkdir(parents=True, exist_ok=True)
    lm_eval = [
        sys.executable, "-m", "lm_eval", "--model", "hf", "--model_args", f"pretrained={checkpoint},dtype=float32",
        "--include_path", str(tasks), "--tasks", ",".join(PREFIX + name for name in names),
        "--batch_size", str(arguments.batch_size), "--device", "cpu" if arguments.use_cpu else "cuda",
        "--output_path", str(output_dir), "--log_samples",
    ]  # fmt: skip
    if subprocess.run(lm_eval, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=False).returncode:
        raise UserError("lm_eval failed; it said why above")
    return {name: read_samples(output_dir, PREFIX + name) for name in names}


def read_samples(output_dir: Path, task: str) -> pd.DataFrame:
    """Return the newest samples of a task: item_id, text and the verdicts."""
    import pandas as pd

    from mulfact.evals.evaluation.tasks import VERDICTS

    files = sorted(output_dir.rglob(f"samples_{task}_2*.jsonl"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise UserError(f"{output_dir} holds no samples of {task}: delete it and run again")
    samples = [json.loads(line) for line in files[-1].read_text().splitlines()]
    return pd.DataFrame(
        [
            {"item_id": sample["doc"]["id"], "text": sample["resps"][0][0]}
            | {name: bool(sample[name]) for name in VERDICTS}
            for sample in samples
        ]
    )


def compare(name: str, ours: pd.DataFrame, theirs: pd.DataFrame) -> dict[str, Any]:
    """Return how many items of a benchmark have the same completion, and how many of these the same three verdicts."""
    from mulfact.evals.evaluation.tasks import VERDICTS

    both = ours.merge(theirs, on="item_id", suffixes=("", "_theirs"))
    if not len(both) == len(ours) == len(theirs):
        raise UserError(
            f"{name}: {len(ours)} items here, {len(theirs)} in lm_eval, {len(both)} in both; write both anew"
        )
    same = both[both["text"] == both["text_theirs"]]
    equal = (same[list(VERDICTS)].to_numpy() == same[[f"{verdict}_theirs" for verdict in VERDICTS]].to_numpy()).all(1)
    return {
        "task": name, "items": len(both), "same": len(same), "graded": int(equal.sum()),
        "ours": int(both["correct"].sum()), "theirs": int(both["correct_theirs"].sum()),
    }  # fmt: skip


def print_table(rows: list[dict[str, Any]], checkpoint: str) -> None:
    table = Table("task", "items", "same completion", "of them same grades", "right here", "right in lm_eval")
    for row in rows:
        table.add_row(*(str(row[key]) for key in ("task", "items", "same", "graded", "ours", "theirs")))
    Console().print(f"{checkpoint} in both harnesses", table)


def check(rows: list[dict[str, Any]]) -> None:
    """Raise UserError, naming the benchmarks, when the harnesses do not agree."""
    graded = [row["task"] for row in rows if row["graded"] < row["same"]]
    if graded:
        raise UserError(f"the harnesses grade the same completion differently in {', '.join(graded)}")
    apart = [row["task"] for row in rows if row["same"] < LEAST_SAME * row["items"]]
    if apart:
        raise UserError(f"more than one completion in a hundred differs in {', '.join(apart)}")


if __name__ == "__main__":
    main()
