"""Machines that share a folder: each takes other runs, no stage runs twice, and what one leaves another takes up."""

import subprocess
from collections import Counter
from pathlib import Path

import pytest
from make_workshop import Workshop

GRID = ("CONDITIONS=baseline mulfact", "SEEDS=0")


@pytest.fixture
def workshop(repository: Path, tmp_path: Path) -> Workshop:
    return Workshop(repository, tmp_path)


def start(workshop: Workshop, number: int, **variables: str) -> subprocess.Popen[str]:
    """Start a task of the SLURM array as SLURM would."""
    script = ["bash", "docs/slurm_array.sh", "VENV=", *GRID]
    known = workshop.environment(SLURM_ARRAY_TASK_ID=str(number), WHO=f"worker-{number}", **variables)
    return subprocess.Popen(
        script, cwd=workshop.folder, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def commands(workshop: Workshop) -> dict[str, list[str]]:
    """Return what each stage's log says was run, by its place below the experiment."""
    folder = workshop.folder / "outputs" / "smoke"
    return {
        path.relative_to(folder).as_posix(): [line for line in path.read_text().splitlines() if "seen by" in line]
        for path in folder.rglob("logs/*.log")
    }


def test_two_workers_on_one_folder_take_different_cells(workshop: Workshop) -> None:
    workers = [start(workshop, number, SLOW="0.2") for number in (0, 1)]
    printed = [worker.communicate(timeout=600)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], printed
    ran = commands(workshop)
    for name, lines in ran.items():
        assert len(lines) == len({line.rpartition(" ")[0] for line in lines}), f"{name} was run twice: {lines}"
    stages = [name for name in ran if name.endswith(("pretrain.log", "sft.log"))]
    assert len(stages) == 2 * 2, "every run of the grid"
    taken = Counter(line.split()[-1] for name in stages for line in ran[name])
    assert min(taken["worker-0"], taken["worker-1"]) >= 2, taken
    report = workshop.make(*GRID)
    assert report.returncode == 0, report.stderr
    assert "cells done" in report.stdout
    assert "modeling/pretrain.py" not in report.stdout, "nothing was left to train"


def test_a_run_that_fails_stops_no_other_and_is_named(workshop: Workshop) -> None:
    worker = start(workshop, 1, FAIL="baseline/seed-0/recipes/sft.yaml")
    printed, _ = worker.communicate(timeout=600)
    assert worker.returncode == 2
    assert "error: not finished: outputs/smoke/baseline/seed-0" in printed
    finished = {path.parent.relative_to(workshop.folder / "outputs/smoke").as_posix()
                for path in workshop.folder.rglob("seed-*/ledger.json")}  # fmt: skip
    assert finished == {"mulfact/seed-0"}
    again = start(workshop, 0)
    assert again.wait(timeout=600) == 0, "the same command goes on"


def test_two_commands_for_two_arms_make_what_both_need_once(workshop: Workshop) -> None:
    started = [
        subprocess.Popen(
            workshop.command(f"CONDITION={arm}", target="pretrain"), cwd=workshop.folder, text=True,
            env=workshop.environment(SLOW="0.5"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for arm in ("baseline", "mulfact")
    ]  # fmt: skip
    printed = [one.communicate(timeout=600)[0] for one in started]
    assert [one.returncode for one in started] == [0, 0], printed
    made = Counter(line.split()[2] for line in "".join(printed).splitlines() if line.startswith("seen by"))
    for program in ("benchmarks", "corpus", "posttrain"):
        assert made[f"data_builders/{program}.py"] == 1, f"{program}: made by one command, found by the other"
    assert made["data_builders/tokens.py"] == 2, "one of each arm"


@pytest.mark.parametrize(
    "product", ["corpus", "mulfact/tokens", "mulfact/seed-0/pretrain_final", "mulfact/seed-0/sft_final"]
)
def test_a_command_that_fails_takes_no_finished_product_along(workshop: Workshop, product: str) -> None:
    """Another command may have made it meanwhile; by itself make deletes what the recipe that failed was for."""
    name = product.removesuffix("_final")
    recipe = workshop.outputs / Path(name).parent / "recipes" / f"{Path(name).name}.yaml"
    failing = {"FAIL": recipe.relative_to(workshop.folder).as_posix(), "FAIL_LATE": "1"}
    failed = workshop.make("CONDITION=mulfact", target="sft", **failing)
    assert failed.returncode == 2
    assert "out of luck" in failed.stdout + failed.stderr
    record = workshop.outputs / product / "provenance.json"
    before = record.read_text()
    again = workshop.make("CONDITION=mulfact", target="sft")
    assert again.returncode == 0, again.stderr
    assert record.read_text() == before, "it was not made again"
