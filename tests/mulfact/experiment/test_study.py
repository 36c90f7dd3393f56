"""A study: its plan comes first, its runs are made in blocks, and a recorded run is never made again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from run_folders import write_experiment

from mulfact.errors import UserError
from mulfact.evals.comparison.runs import load_run
from mulfact.experiment import study as module
from mulfact.experiment.study import Study, committed, follow, read_study, record_run
from mulfact.halves import half_names
from mulfact.layout import STUDY_RECORD, run_folder, scale_of
from mulfact.provenance import PROVENANCE, input_hash, read_provenance
from mulfact.recipe import compose
from mulfact.settings import load_yaml

ARMS = ["baseline", "mulfact"]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the plan of a study that is not committed yet; commands run in it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "docs/studies/road"
    folder.mkdir(parents=True)
    (folder / "plan.md").write_text("What is asked.\n")
    settings = {"scale": "smoke", "conditions": ARMS, "seeds": [0, 1], "overrides": ["pretrain.max_steps=5"]}
    (folder / "study.yaml").write_text(yaml.safe_dump(settings))
    git("init", "-q")
    return tmp_path


def git(*words: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)


def commit() -> None:
    git("add", "-A")
    git("commit", "-qm", "plan")


def test_a_plan_is_committed_before_the_first_run(checkout: Path) -> None:
    plan = checkout / "docs/studies/road/plan.md"
    with pytest.raises(UserError, match="plan.md is not committed as it is"):
        committed(plan)
    commit()
    assert committed(plan).startswith("20")
    plan.write_text("Something else.\n")
    with pytest.raises(UserError, match="plan.md is not committed as it is"):
        committed(plan)


def test_a_wrong_name_or_setting_is_told(checkout: Path) -> None:
    with pytest.raises(UserError, match=r"docs/studies/rode/plan.md is missing; studies with a plan: road"):
        read_study("rode")
    path = checkout / "docs/studies/road/study.yaml"
    path.write_text(path.read_text() + "sedes: [3]\n")
    with pytest.raises(UserError, match=r"sedes.*valid: name, scale, conditions"):
        read_study("road")
    path.write_text("{scale: smoke, conditions: [mulfact], seeds: [0], pairs: 2}")
    with pytest.raises(UserError, match="give either pairs, for crossed halves, or seeds"):
        read_study("road")


def test_blocks_are_balanced_and_in_the_order_of_the_seeds() -> None:
    study = Study("road", "smoke", ARMS, [0, 1], ["fewer_steps"])
    assert list(study.blocks()) == [[(arm, seed) for arm in (*ARMS, "fewer_steps")] for seed in (0, 1)]
    halves = Study("halves", "smoke", ["mulfact"], pairs=2)
    assert list(halves.blocks()) == [[(name, pair) for name in half_names("mulfact", pair)] for pair in (0, 1)]


def test_a_record_is_what_the_comparison_reads_and_holds_no_weights(checkout: Path) -> None:
    study = read_study("road")
    write_experiment(study.shared_dir, ARMS, [0, 1])
    first, second = (record_run(study, "mulfact", seed, {"plan_sha256": "a"}) for seed in (0, 1))
    assert not list(first.rglob("*.safetensors"))
    run = load_run(study.records, "mulfact", 1, ["pretrain", "sft", "grpo"])
    assert run.predictions["grpo"]["correct"].sum() > 0
    texts = [pd.read_parquet(folder / "eval/sft/predictions.parquet")["text"] for folder in (first, second)]
    assert texts[0].str.len().min() > 0
    assert texts[1].str.len().max() == 0
    assert (study.records / "mulfact/tokens/validation-00000.bin").is_file()


def test_a_record_accounts_for_its_own_files_and_for_what_the_stage_wrote(checkout: Path) -> None:
    study = read_study("road")
    write_experiment(study.shared_dir, ARMS, [0, 1])
    record = record_run(study, "mulfact", 1, {"plan_sha256": "a"})
    folders = [path.parent for path in record.rglob(PROVENANCE)]
    assert folders
    for folder in folders:
        input_hash(folder)  # raises for a file of another size than its provenance says
        assert set(read_provenance(folder)["outputs"]) <= set(read_provenance(folder)["written"])
    original = read_provenance(study.shared_dir / "mulfact/seed-1/eval")["outputs"]
    assert read_provenance(record / "eval")["written"] == original
    assert read_provenance(record / "eval")["outputs"] != original  # without texts, compressed
    assert scale_of(study.records) == scale_of(study.shared_dir) == "smoke"


@pytest.fixture
def made(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that the study runs, of which `make runs` writes finished runs; the analysis writes nothing."""
    commit()
    commands: list[list[str]] = []

    def stand_in(words: list[str]) -> int:
        commands.append(words)
        if "runs" in words:
            settings = dict(word.split("=", 1) for word in words if "=" in word)
            for arm in settings["CONDITIONS"].split():
                write_experiment(Path(settings["OUTPUTS"]) / f"{arm}-made", [arm], [int(settings["SEEDS"])])
                source = Path(settings["OUTPUTS"]) / f"{arm}-made" / arm
                (target := Path(settings["OUTPUTS"]) / "smoke" / arm).mkdir(parents=True, exist_ok=True)
                (source / f"seed-{settings['SEEDS']}").rename(target / f"seed-{settings['SEEDS']}")
                shutil.rmtree(source.parent)
        return 0

    monkeypatch.setattr(module, "follow", stand_in)
    return commands


def study(monkeypatch: pytest.MonkeyPatch, *flags: str) -> None:
    monkeypatch.setattr(sys, "argv", ["study", "--name", "road", *flags])
    module.main()


def test_a_study_goes_on_from_its_records_and_is_analysed_once_all_are_there(
    made: list[list[str]], checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study(monkeypatch, "--blocks", "1")
    assert [("SEEDS=0" in words, "CONDITIONS=baseline mulfact" in words) for words in made] == [(True, True)]
    assert "road: 2 runs are to do" in capsys.readouterr().out
    records = checkout / "docs/studies/road/runs"
    (records / "mulfact/seed-0" / STUDY_RECORD).unlink()
    shutil.rmtree("outputs")  # another machine, and one record was not committed
    made.clear()
    study(monkeypatch)
    blocks = [[word for word in words if word.startswith(("CONDITIONS", "SEEDS"))] for words in made if "runs" in words]
    assert blocks == [["CONDITIONS=mulfact", "SEEDS=0"], ["CONDITIONS=baseline mulfact", "SEEDS=1"]]
    comparison = next(words for words in made if "evals/compare.py" in words)
    assert comparison[comparison.index("--plan") + 1] == "docs/studies/road/plan.md"
    found = [json.loads(path.read_text()) for path in records.rglob(STUDY_RECORD)]
    assert [record["seeds"] for record in found] == [[0, 1]] * 4


def test_which_runs_a_study_takes_is_committed_as_its_plan_is(
    made: list[list[str]], checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = checkout / "docs/studies/road/study.yaml"
    path.write_text(path.read_text().replace("- 1\n", ""))
    with pytest.raises(SystemExit, match=r"study.yaml is not committed as it is"):
        study(monkeypatch)
    assert not made


@pytest.mark.parametrize(("number", "reached"), [(signal.SIGTERM, "study"), (signal.SIGINT, "both")])
def test_what_a_study_has_started_saves_before_it_leaves(tmp_path: Path, number: signal.Signals, reached: str) -> None:
    saves = "trap 'sleep 0.3; echo saved > record; exit 3' TERM INT; echo > begun; while :; do sleep 0.02; done"
    program = f"""
import signal, sys
from mulfact.experiment.study import follow
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(follow(["/bin/sh", "-c", {saves!r}]))
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, start_new_session=True) as process:
        while not (tmp_path / "begun").is_file():
            time.sleep(0.02)
        (process.send_signal if reached == "study" else lambda one: os.killpg(process.pid, one))(number)
        assert process.wait(20) == 3
    assert (tmp_path / "record").read_text() == "saved\n"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_a_signal_while_a_study_starts_something_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    start = subprocess.Popen

    def slow(words: list[str]) -> Any:
        process = start(words)
        os.kill(os.getpid(), number)  # to this process alone, which does not know the other yet
        return process

    monkeypatch.setattr(subprocess, "Popen", slow)
    before = signal.getsignal(number)
    assert follow(["/bin/sh", "-c", "sleep 0.5"]) == status
    assert signal.getsignal(number) == before


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("road", ("pretrain", "sft", "grpo", "eval")),
        ("fewer_facts", ("pretrain", "sft", "grpo", "eval")),
        ("halves", ("pretrain",)),
    ],
)
def test_a_published_study_is_repeated_with_the_settings_of_its_records(
    name: str, stages: Sequence[str], repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    study = read_study(name)
    for condition, seed in next(study.blocks()):
        composed = compose(Path("recipes"), study.scale, condition, seed, study.overrides)
        for stage in stages:
            recorded = load_yaml(run_folder(study.records, condition, seed) / "recipes" / f"{stage}.yaml")
            assert without_paths(composed[stage]) == without_paths(recorded), f"{condition}, {stage}"


def without_paths(recipe: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.items() if "outputs/" not in str(value)}
