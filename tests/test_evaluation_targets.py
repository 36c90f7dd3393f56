"""How make evaluates: the runs of an experiment together, one run by itself, and what a failure leaves behind.

The stages are made up: `python` is a script that notes how it was called and writes what the real one would; asked what
is finished already, it says that nothing is.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mulfact.experiment.cells import Cell
from mulfact.layout import CONDITION_STAGES, RUN_STAGES, SHARED_STAGES

RUNS = ["plain/seed-0", "plain/seed-1", "facts/seed-0", "facts/seed-1"]
PYTHON = """#!/bin/sh
if [ "$2" = mulfact.experiment.once ]; then
    shift 2
    if [ "$1" = --unfinished ]; then shift; printf '%s\\n' "$@"; exit; fi
    shift
    exec "$@"
fi
echo "$@" >> calls
shift 2
for recipe; do
    run=${recipe%/recipes/eval.yaml}
    if [ "$run" = "$BROKEN" ]; then status=1; else mkdir -p $run/eval && touch $run/eval/provenance.json; fi
done
exit ${status:-0}
"""


@pytest.fixture
def experiment(tmp_path: Path, repository: Path) -> Path:
    """A folder with the Makefile, in which everything but the evaluations is finished."""
    shutil.copy(repository / "Makefile", tmp_path)
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(PYTHON)
    python.chmod(0o755)
    shared = tmp_path / "outputs" / "smoke"
    cells = [Cell("", stage) for stage in ("benchmarks", *SHARED_STAGES)]
    cells += [Cell(condition, stage) for stage in CONDITION_STAGES for condition in ("plain", "facts")]
    cells += [Cell(run, stage) for stage in RUN_STAGES for run in RUNS]
    recipes = [shared / cell.level / "recipes" / f"{cell.stage}.yaml" for cell in cells]
    products = [cell.product(shared) for cell in dict.fromkeys(cells) if cell.stage != "eval"]
    for age, path in enumerate([*recipes, *products]):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (1_000_000 + age, 1_000_000 + age))
    return tmp_path


def make(folder: Path, *arguments: str, broken: str = "") -> tuple[int, list[str]]:
    """Return the exit status of make and how the commands were called."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "BROKEN": f"outputs/smoke/{broken}"}
    environment = {
        name: value for name, value in environment.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    (folder / "calls").unlink(missing_ok=True)
    command = ["make", "VENV=", "CONDITIONS=plain facts", "SEEDS=0 1", *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    calls = (folder / "calls").read_text().splitlines() if (folder / "calls").is_file() else []
    return result.returncode, sorted(calls)


def call(*runs: str) -> str:
    return " ".join(["evals/evaluate.py --config", *(f"outputs/smoke/{run}/recipes/eval.yaml" for run in runs)])


EVALUATIONS = [f"outputs/smoke/{run}/eval/provenance.json" for run in RUNS]


def evaluated(folder: Path) -> list[str]:
    return [run for run, product in zip(RUNS, EVALUATIONS, strict=True) if (folder / product).is_file()]


def test_an_experiment_is_evaluated_in_one_process(experiment: Path) -> None:
    assert make(experiment, "JOBS=1", *EVALUATIONS) == (0, [call(*RUNS)])
    assert evaluated(experiment) == RUNS
    assert make(experiment, "JOBS=1", *EVALUATIONS) == (0, [])


def test_or_in_as_many_as_there_are_jobs(experiment: Path) -> None:
    assert make(experiment, "JOBS=2", *EVALUATIONS) == (0, sorted([call(*RUNS[:2]), call(*RUNS[2:])]))
    assert evaluated(experiment) == RUNS


def test_a_run_that_fails_leaves_the_others_evaluated(experiment: Path) -> None:
    status, _ = make(experiment, "JOBS=1", *EVALUATIONS, broken="plain/seed-1")
    assert status != 0
    assert evaluated(experiment) == ["plain/seed-0", "facts/seed-0", "facts/seed-1"]
    assert make(experiment, "JOBS=1", *EVALUATIONS) == (0, [call(*RUNS)])
    assert evaluated(experiment) == RUNS


def test_one_run_is_evaluated_by_itself(experiment: Path) -> None:
    status, calls = make(experiment, "CONDITION=facts", "SEED=1", EVALUATIONS[3])
    assert (status, calls) == (0, [call("facts/seed-1")])
    assert evaluated(experiment) == ["facts/seed-1"]


def test_together_with_logs(experiment: Path) -> None:
    """As mulfact/experiment/grid.py calls make: the command for several runs has the first one's log."""
    assert make(experiment, "JOBS=1", "LOGGED=1", "every_run") == (0, [call(*RUNS)])
    assert evaluated(experiment) == RUNS
    assert (experiment / "outputs/smoke" / RUNS[0] / "logs/eval.log").is_file()
