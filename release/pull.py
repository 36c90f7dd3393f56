"""Fetch released checkpoints, evaluate them here by the project's own evaluation, and set the numbers side by side.

    python release/pull.py --org someone --scale smoke --conditions mulfact --seeds 0 --output_dir outputs/pulled

Fetched are the report, the benchmarks, the tokenizers and the checkpoints of each run, into folders as an experiment
has them. Files that are there already are not fetched again, and a finished evaluation of the same files is
not repeated. Private repositories need a token that may read them; HF_ENDPOINT is honoured.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_token, snapshot_download
from huggingface_hub.utils import disable_progress_bars
from rich.console import Console
from rich.table import Table

from mulfact.command_line import Conditions, Seeds
from mulfact.errors import UserError, command
from mulfact.layout import output_of, recipe_file, report_folder, run_folder, run_level
from mulfact.provenance import PROVENANCE, hash_file, read_provenance, write_json
from mulfact.recipe import write_if_changed
from mulfact.release.hub import persist, told_in_a_line
from mulfact.release.repositories import Repository, plan, report
from mulfact.release.staging import UNSAFE_SUFFIXES

NEEDED = ("benchmarks", "tokenizer", "model")
REPORT_FILES = ["*.json", "*.md", "*.html", "figures/*"]  # the predictions stay where they are


@dataclass
class PullArguments:
    org: str = field(metadata={"help": "User or organisation on the Hub that owns the repositories."})
    scale: str = field(metadata={"help": "Name of the experiment's scale."})
    conditions: list[str] = field(metadata={"help": "The arms to fetch."})
    seeds: list[int] = field(metadata={"help": "The seeds to fetch."})
    output_dir: Path = field(metadata={"help": "Folder that receives <org>/<scale>/."})
    revision: str = field(default="main", metadata={"help": "Branch, tag (protocol-...) or commit of each repository."})

    @property
    def shared_dir(self) -> Path:
        return self.output_dir / self.org / self.scale


@dataclass(frozen=True)
class Run:
    """One arm with one seed, as a folder and as the report has it."""

    condition: str
    seed: int
    folder: Path

    @property
    def recipe_path(self) -> Path:
        return recipe_file(self.folder, "eval")


@command
def main() -> None:
    arguments = parse_arguments()
    shared_dir = arguments.shared_dir
    runs = [Run(c, s, run_folder(shared_dir, c, s)) for c in arguments.conditions for s in arguments.seeds]
    disable_progress_bars()
    with told_in_a_line(f"pull from {arguments.org}"):
        fetch(arguments, report(shared_dir, arguments.scale, arguments.conditions, arguments.seeds))
        results = read_results(shared_dir, runs)
        for repository in plan(shared_dir, arguments.conditions, arguments.seeds, results["stages"]):
            if repository.kind in NEEDED:
                fetch(arguments, repository)
    for run in runs:
        write_if_changed(run.recipe_path, evaluation_recipe(shared_dir, run, results["stages"]))
    evaluate([run.recipe_path for run in runs])
    rows = [row for run in runs for row in compare(results, run)]
    write_json(shared_dir / "reproduction.json", rows)
    print_comparison(rows)


def fetch(arguments: PullArguments, repository: Repository) -> None:
    """Bring one repository into its folder. Raises UserError when it holds pickles or is damaged."""
    repo_id, api = f"{arguments.org}/{repository.name}", HfApi(token=get_token())
    names = persist(api.list_repo_files, repo_id, repo_type=repository.repo_type, revision=arguments.revision)
    unsafe = [name for name in names if name.endswith(UNSAFE_SUFFIXES)]
    if unsafe:
        raise UserError(f"{repo_id} holds {unsafe[0]}: only safetensors are loaded; do not use this repository")
    patterns = REPORT_FILES if repository.kind == "report" else list(repository.sources[0].patterns)
    persist(
        snapshot_download,
        repo_id,
        repo_type=repository.repo_type,
        revision=arguments.revision,
        local_dir=repository.folder,
        allow_patterns=patterns,
    )
    if repository.kind != "report":
        verify(repo_id, repository.folder)
    print(f"{repo_id}: {repository.folder}", flush=True)


def verify(repo_id: str, folder: Path) -> None:
    """Raise UserError when a file is not the one that provenance.json speaks of."""
    for name, recorded in read_provenance(folder)["outputs"].items():
        if not (folder / name).is_file() or hash_file(folder / name) != recorded["sha256"]:
            raise UserError(
                f"{folder / name} is not the file that {PROVENANCE} of {repo_id} names: delete {folder} and pull again"
            )


def read_results(shared_dir: Path, runs: list[Run]) -> dict[str, Any]:
    """Return results.json of the report. Raises UserError for a run that it does not cover."""
    results = json.loads((report_folder(shared_dir) / "results.json").read_text())
    for run in runs:
        if run.condition not in results["conditions"] or run.seed not in results["seeds"]:
            raise UserError(
                f"the report covers the arms {', '.join(results['conditions'])} with seeds "
                f"{', '.join(map(str, results['seeds']))}, not {run.condition} with seed {run.seed}"
            )
    return results


def evaluation_recipe(shared_dir: Path, run: Run, stages: list[str]) -> dict[str, Any]:
    """Return the recipe that the published evaluation ran by, with the paths and the device of this machine.

    Without the 2x2 of use: no accuracy comes from it, and it may be asked of a checkpoint that was not published.
    """
    import torch

    record = report_folder(shared_dir) / "runs" / run_level(run.condition, run.seed) / "eval"
    return read_provenance(record)["recipe"] | {
        "output_dir": str(output_of(run.folder, "eval")),
        "benchmarks": str(output_of(shared_dir, "benchmarks")),
        "tokenizer": str(output_of(shared_dir / run.condition, "tokenizer")),
        "checkpoints": {stage: str(output_of(run.folder, stage)) for stage in stages},
        "use_stages": [],
        "use_tasks": [],
        "use_cpu": not torch.cuda.is_available(),
    }


def evaluate(recipes: list[Path]) -> None:
    """Evaluate what is not evaluated yet by these recipes. Raises UserError when that fails; the command said why."""
    command = [sys.executable, "-m", "mulfact.evals.evaluate", "--config", *map(str, recipes)]
    if subprocess.run(command, check=False).returncode:
        raise UserError("the evaluation failed; what is fetched and evaluated stays, the same command goes on")


def compare(results: dict[str, Any], run: Run) -> list[dict[str, Any]]:
    """Return for each stage and task of a run the published accuracy and the one found here, as shares."""
    found = {}
    for stage in results["stages"]:
        for path in sorted((output_of(run.folder, "eval") / stage).glob("*_results.json")):
            for task, entry in json.loads(path.read_text())["tasks"].items():
                found[stage, task] = entry["accuracy"]
    return [
        {
            "condition": run.condition, "seed": run.seed, "stage": row["stage"], "task": row["task"],
            "published": row["seeds"][str(run.seed)], "here": found[row["stage"], row["task"]],
        }
        for row in results["accuracy"]
        if row["condition"] == run.condition and (row["stage"], row["task"]) in found
    ]  # fmt: skip


def print_comparison(rows: list[dict[str, Any]]) -> None:
    from mulfact.evals.comparison.conclusion import points  # with scipy, which takes seconds to import
    from mulfact.evals.report.filters import percent

    table = Table("arm", "seed", "stage", "task", "published", "here", "difference", title="Accuracy in %")
    for row in rows:
        difference = points(row["here"] - row["published"])
        names = [row["condition"], str(row["seed"]), row["stage"], row["task"]]
        table.add_row(*names, percent(row["published"]), percent(row["here"]), difference)
    Console().print(table)
    equal = sum(row["here"] == row["published"] for row in rows)
    largest = max(abs(row["here"] - row["published"]) for row in rows)
    print(f"{equal} of {len(rows)} accuracies are the published ones; the largest difference is {100 * largest:.1f}")


def parse_arguments() -> PullArguments:
    parser = argparse.ArgumentParser(description="Fetch released checkpoints and evaluate them.")
    told = {setting.name: setting.metadata["help"] for setting in fields(PullArguments)}
    parser.add_argument("--org", required=True, help=told["org"])
    parser.add_argument("--scale", required=True, help=told["scale"])
    parser.add_argument("--conditions", nargs="*", action=Conditions, required=True, help=told["conditions"])
    parser.add_argument("--seeds", nargs="*", action=Seeds, required=True, help=told["seeds"])
    parser.add_argument("--output_dir", type=Path, required=True, help=told["output_dir"])
    parser.add_argument("--revision", default="main", help=told["revision"])
    return PullArguments(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
