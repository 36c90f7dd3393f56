"""What every run must have and what the arms of a seed must share, each refused by its name."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from compared_experiment import load, write_compared
from run_folders import STAGES

from mulfact.errors import UserError
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.runs import check_comparable, load_runs
from mulfact.provenance import write_json


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    return write_compared(tmp_path)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["parameters", "steps", "flops"])
def test_a_matched_field_that_differs_is_refused_by_name(experiment: CompareArguments, stage: str, name: str) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-1/ledger.json"
    ledger = json.loads(path.read_text())
    ledger["stages"][stage]["matched"][name] += 1
    write_json(path, ledger)
    with pytest.raises(UserError, match=f"{stage}.{name}: plain/seed-1 has .* facts/seed-1 has"):
        check_comparable(load(experiment), "plain")


def test_a_reported_field_may_differ(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-1/ledger.json"
    ledger = json.loads(path.read_text())
    ledger["stages"]["sft"]["reported"]["bytes"] += 1
    write_json(path, ledger)
    check_comparable(load(experiment), "plain")


def test_a_recipe_that_differs_beyond_the_arm_is_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-1/sft_final/provenance.json"
    record = json.loads(path.read_text())
    record["recipe"]["learning_rate"] = 0.1
    write_json(path, record)
    with pytest.raises(UserError, match="sft.learning_rate"):
        check_comparable(load(experiment), "plain")


def test_outputs_that_were_moved_still_compare(experiment: CompareArguments, tmp_path: Path) -> None:
    moved = Path(experiment.shared_dir).rename(tmp_path / "elsewhere")
    check_comparable(load_runs(moved, ["plain", "facts"], [0, 1]), "plain")


def test_unequal_items_are_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-2/eval/sft/predictions.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(UserError, match="answered different items after sft"):
        check_comparable(load(experiment), "plain")


def test_items_with_other_golds_are_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-2/eval/grpo/predictions.parquet"
    table = pq.read_table(path).to_pylist()
    table[5]["gold"] = "another"
    pq.write_table(pa.Table.from_pylist(table), path)
    with pytest.raises(UserError, match="answered different items after grpo"):
        check_comparable(load(experiment), "plain")


def test_shared_inputs_that_differ_are_refused_and_those_of_the_arm_are_not(experiment: CompareArguments) -> None:
    shared_dir = Path(experiment.shared_dir)
    for condition, data in (("plain", "one"), ("facts", "other")):
        path = shared_dir / condition / "seed-1/grpo_final/provenance.json"
        record = json.loads(path.read_text())
        record["inputs"] = {str(shared_dir / condition / "seed-1/sft_final"): data}
        write_json(path, record)
    check_comparable(load(experiment), "plain")
    record["inputs"][str(shared_dir / "posttrain")] = "edited since"
    write_json(path, record)
    with pytest.raises(UserError, match="inputs differ in grpo: .*posttrain"):
        check_comparable(load(experiment), "plain")


def test_a_damaged_evaluation_is_named(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-2/eval/sft/predictions.parquet"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="sft/predictions.parquet cannot be read"):
        load(experiment)


@pytest.mark.parametrize(
    ("missing", "target"),
    [
        ("ledger.json", "make ledger"),
        ("eval", "make eval"),
        ("sft_final", "make sft"),
        ("grpo_final", "make grpo"),
        ("readiness", "make readiness"),
    ],
)
def test_a_missing_stage_is_named_with_its_make_target(experiment: CompareArguments, missing: str, target: str) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-0" / missing
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(
        UserError, match=f"facts/seed-0 .* lacks {missing}.*{target} SCALE=pilot CONDITION=facts SEED=0"
    ):
        load(experiment)


def test_all_that_a_run_lacks_is_named(experiment: CompareArguments) -> None:
    folder = Path(experiment.shared_dir) / "facts/seed-1"
    shutil.rmtree(folder / "grpo_final")
    shutil.rmtree(folder / "eval")
    with pytest.raises(UserError, match="lacks grpo_final/provenance.json, eval/provenance.json; .* make grpo SCALE"):
        load(experiment)


def test_a_seed_that_one_arm_lacks_is_refused(experiment: CompareArguments) -> None:
    shutil.rmtree(Path(experiment.shared_dir) / "facts/seed-2")
    with pytest.raises(UserError, match="facts/seed-2 has not finished"):
        load(experiment)


def test_an_evaluation_without_a_stage_is_named(experiment: CompareArguments) -> None:
    shutil.rmtree(Path(experiment.shared_dir) / "facts/seed-2/eval/pretrain")
    with pytest.raises(UserError, match="eval/pretrain/predictions.parquet cannot be read"):
        load(experiment)


def test_a_ledger_without_a_stage_is_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-1/ledger.json"
    ledger = json.loads(path.read_text())
    del ledger["stages"]["grpo"]
    write_json(path, ledger)
    with pytest.raises(UserError, match="ledgers differ in grpo.flops: plain/seed-1 has .* facts/seed-1 has None"):
        check_comparable(load(experiment), "plain")
