"""The live page: every stage of every run, each step once, also when the grid was killed between two looks."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from mulfact.experiment.cells import cells_of
from mulfact.experiment.live import SECONDS_BETWEEN_LOOKS, Live, Record
from mulfact.layout import RUN_STAGES

RUN = "arm/seed-0"


class Kept:
    """Stands for Trackio: keeps the records by run."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}
        self.uploads = 0

    def last_step(self, run: str) -> int | None:
        return self.records[run][-1][0] if run in self.records else None

    def add(self, run: str, group: str, records: Sequence[Record]) -> None:
        assert group == "arm"
        self.records.setdefault(run, []).extend(records)

    def upload(self) -> None:
        self.uploads += 1

    def steps(self, stage: str) -> list[int]:
        return [step for step, _ in self.records.get(f"{RUN} {stage}", [])]


def live(folder: Path, pages: Kept, **settings: object) -> Live:
    return Live(folder, cells_of([("arm", 0)], RUN_STAGES), pages, **settings)  # type: ignore[arg-type]


def write_metrics(folder: Path, last: int, half: str = "") -> None:
    path = folder / RUN / "pretrain_checkpoints" / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    records = [{"step": step, "loss": 1 / step} for step in range(1, last + 1)]
    records.insert(2, {"step": 2, "validation": {"bits_per_byte": 0.5}})
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + half)


def write_state(folder: Path, place: str, last: int) -> None:
    (folder / RUN / place).mkdir(parents=True)
    log = [{"step": step, "reward": 0.1 * step} for step in range(1, last + 1)]
    (folder / RUN / place / "trainer_state.json").write_text(json.dumps({"log_history": log}))


def finish(folder: Path, output: str) -> None:
    (folder / RUN / output).mkdir(parents=True, exist_ok=True)
    (folder / RUN / output / "provenance.json").write_text("{}")


def test_each_step_is_there_once_after_a_crash_and_with_all_of_its_numbers(tmp_path: Path) -> None:
    pages = Kept()
    write_metrics(tmp_path, 6, half='{"step": 7, "lo')
    live(tmp_path, pages).close()
    assert pages.steps("pretrain") == [1, 2, 3, 4, 5], "the newest step may still get more"
    assert pages.records[f"{RUN} pretrain"][1] == (2, {"loss": 0.5, "validation/bits_per_byte": 0.5})
    write_metrics(tmp_path, 4)  # the run went on from its checkpoint of step 4, after a crash
    live(tmp_path, pages).close()
    write_metrics(tmp_path, 8)
    live(tmp_path, pages).close()
    assert pages.steps("pretrain") == [1, 2, 3, 4, 5, 6, 7]
    (tmp_path / RUN / "pretrain_final").mkdir()
    os.rename(tmp_path / RUN / "pretrain_checkpoints/metrics.jsonl", tmp_path / RUN / "pretrain_final/metrics.jsonl")
    finish(tmp_path, "pretrain_final")
    live(tmp_path, pages).close()
    assert pages.steps("pretrain") == list(range(1, 9))


def test_sft_grpo_and_evaluation_are_on_the_page_too(tmp_path: Path) -> None:
    pages = Kept()
    write_state(tmp_path, "grpo_training/checkpoint-3", 3)
    live(tmp_path, pages).close()
    assert pages.steps("grpo") == [1, 2]
    write_state(tmp_path, "grpo_final", 5)
    finish(tmp_path, "grpo_final")
    for stage, accuracy in (("pretrain", 0.1), ("sft", 0.5)):
        (tmp_path / RUN / "eval" / stage).mkdir(parents=True)
        results = {"tasks": {"gsm8k_cot": {"accuracy": accuracy}}}
        (tmp_path / RUN / "eval" / stage / "gsm8k_results.json").write_text(json.dumps(results))
    finish(tmp_path, "eval")
    live(tmp_path, pages).close()
    assert pages.steps("grpo") == [1, 2, 3, 4, 5]
    assert pages.records[f"{RUN} eval"] == [(0, {"gsm8k_cot/accuracy": 0.1}), (1, {"gsm8k_cot/accuracy": 0.5})]


def test_it_looks_from_time_to_time_and_a_page_that_breaks_stops_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages, clock = Kept(), [0.0]
    page = live(tmp_path, pages, now=lambda: clock[0])
    write_metrics(tmp_path, 6)
    page.tick()
    assert pages.records == {}
    clock[0] = SECONDS_BETWEEN_LOOKS
    page.tick()
    assert pages.steps("pretrain") == [1, 2, 3, 4, 5]
    assert pages.uploads == 0
    page.close()
    assert pages.uploads == 1
    pages.upload = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    page.close()
    page.close()
    assert capsys.readouterr().err.count("the live page is given up, the experiment goes on: ZeroDivisionError") == 1


def test_trackio_keeps_one_project_in_the_output_folder(tmp_path: Path, repository: Path) -> None:
    """In processes of their own, for Trackio reads its folder when it is imported."""
    folder = tmp_path / "tiny"
    code = (
        "from mulfact.experiment.live import *; from mulfact.experiment.cells import cells_of; "
        f"folder = Path({str(folder)!r}); "
        "Live(folder, cells_of([('arm', 0)], ('pretrain',)), Trackio(folder)).close()"
    )
    for last in (6, 9):
        write_metrics(folder, last)
        subprocess.run([sys.executable, "-c", code], cwd=repository, check=True)
    (database,) = (folder / "tracking").glob("tiny*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by step").fetchall()
    assert [(name, step) for name, step, _ in rows] == [(f"{RUN} pretrain", step) for step in range(1, 9)]
    assert json.loads(rows[1][2])["validation/bits_per_byte"] == 0.5
