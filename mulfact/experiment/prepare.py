"""What comes before any stage of an experiment: its recipes, how it stands, and what must not be lost.

    make experiment DRY=1                                                                # the last of these:
    python -m mulfact.experiment.prepare --scale smoke --conditions baseline mulfact --seeds 0
    python -m mulfact.experiment.prepare --scale smoke --conditions mulfact --seeds 1 --set pretrain.max_steps=50
    python -m mulfact.experiment.prepare --scale smoke --conditions baseline mulfact --seeds 0 --experiment --dry

Composes base + scale + arm + seed + overrides into one flat YAML per stage beside its output; a file is written only
when its content changes. Then each product gets the time stamp by which make sees how it stands. Nothing is written
before a training that is finished would have to be made again: that wants AGAIN=1. `--dry` writes nothing at all.
"""

import argparse
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from mulfact.command_line import Conditions, Pairs, Seeds
from mulfact.errors import UserError, command
from mulfact.experiment import remembered
from mulfact.experiment.cells import Cell
from mulfact.experiment.once import refusal
from mulfact.experiment.standing import Standing, discarded, judge, settle
from mulfact.experiment.surroundings import check_surroundings
from mulfact.halves import runs_of
from mulfact.layout import CONDITION_STAGES, RUN_STAGES, SHARED_STAGES, run_level
from mulfact.locks import experiment_lock
from mulfact.recipe import check_comparison, compose_runs, controls_named, recipe_path, write_and_tell
from mulfact.recipe_checks import check_processes

Stages = dict[str, dict[str, Any]]
ABOVE = (*SHARED_STAGES, *CONDITION_STAGES, "compare")  # what is not a run's own


@command
def main() -> None:
    arguments = read_arguments()
    check_surroundings()
    settings, overrides = remembered.of(arguments)
    if told := settings.told():
        print(told)
    folder = Path(arguments.outputs) / arguments.scale
    grid: dict[str, Any] = {"outputs": arguments.outputs}
    controls = controls_named(arguments.recipes, arguments.controls)
    chosen = [(condition, seed) for condition in (*arguments.conditions, *controls) for seed in arguments.seeds]
    stages: tuple[str, ...] = RUN_STAGES
    if arguments.experiment:
        grid["compare"] = {"conditions": arguments.conditions, "controls": controls, "seeds": arguments.seeds}
    elif arguments.halves:
        (arm,) = arguments.conditions
        grid["halves"] = {"arm": arm, "pairs": arguments.halves}
        chosen, stages = runs_of(arm, arguments.halves), ("pretrain", "curve")
    runs = compose_runs(arguments.recipes, arguments.scale, chosen, overrides, grid)
    check_processes(runs[0], arguments.processes)
    if arguments.experiment:
        check_comparison(arguments.recipes, runs[0]["compare"])
    recipes = in_order(dict(zip(chosen, runs, strict=True)))
    if arguments.experiment:
        recipes[Cell("", "compare")] = runs[0]
    judged = {cell: run[cell.stage] for cell, run in recipes.items() if cell.stage in (*stages, *ABOVE)}
    standing = judge(folder, judged, keep=not arguments.dry)
    if arguments.dry:
        show(standing, discarded(folder, standing))
        return
    ask(folder, standing)
    with experiment_lock(folder) if arguments.experiment or arguments.halves else nullcontext():
        paths = {cell: recipe_path(run, cell.stage) for cell, run in recipes.items()}
        for cell, run in recipes.items():
            write_and_tell(paths[cell], run[cell.stage])
        if arguments.halves:
            write_and_tell(recipe_path(runs[0], "halves"), runs[0]["halves"])
        settings.save(folder)
        settle(folder, standing, paths.values())


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compose the recipes of an experiment, and say how it stands.")
    parser.add_argument(
        "--recipes", type=Path, default=Path("recipes"), help="the folder with base.yaml, scales/ and arms/"
    )
    parser.add_argument("--scale", required=True, help="a file of scales/, such as smoke")
    parser.add_argument(
        "--conditions", nargs="*", action=Conditions, required=True, help="files of arms/, such as baseline mulfact"
    )
    parser.add_argument("--controls", nargs="*", default=[], help="files of controls/, such as baseline_more")
    parser.add_argument("--seeds", nargs="*", action=Seeds, default=[0])
    parser.add_argument("--experiment", action="store_true", help="also write the recipe that compares these runs")
    parser.add_argument(
        "--halves", nargs="*", action=Pairs, metavar="PAIRS", help="instead: so many pairs that halve the one condition"
    )
    parser.add_argument("--dry", action="store_true", help="write nothing: list what would run, and why")
    remembered.add_arguments(parser)
    return parser.parse_args()


def in_order(runs: dict[tuple[str, int], Stages]) -> dict[Cell, Stages]:
    """Return the cells with the recipes of their runs, as the stages follow each other."""
    cells: dict[Cell, Stages] = {}
    for (condition, seed), stages in runs.items():
        # The corpus holds no item of the benchmarks.
        cells |= {Cell("", stage): stages for stage in sorted(SHARED_STAGES, key=lambda stage: stage != "benchmarks")}
        cells |= {Cell(condition, stage): stages for stage in CONDITION_STAGES}
        cells |= {Cell(run_level(condition, seed), stage): stages for stage in RUN_STAGES}
    return cells


def ask(folder: Path, standing: Standing) -> None:
    """Raise UserError when finished trainings would be made again and nobody has said AGAIN=1."""
    lost = discarded(folder, standing)
    if lost and not os.environ.get("AGAIN"):
        raise UserError(refusal({cell: (why, standing[cell].seconds) for cell, why in lost.items()}))


def show(standing: Standing, lost: dict[Cell, str]) -> None:
    """Print which cells would run, and why; those that wait for others may come out as finished."""
    sure = 0
    to_run = {cell: found for cell, found in standing.items() if not found.finished}
    for cell, found in to_run.items():
        again = f"   AGAIN, after {(found.seconds or 0) / 3600:.2f} hours" if cell in lost else ""
        certain = cell in lost or found.missing or found.changed or found.inputs or found.broken
        sure += bool(certain)
        print(f"{'would' if certain else 'may'} run: {cell.name:<32} {found}{again}")
    others = f", {len(to_run) - sure} others may" if len(to_run) > sure else ""
    print(f"{sure} of {len(standing)} cells would run{others}; {len(lost)} of them are trainings that are finished")


if __name__ == "__main__":
    main()
