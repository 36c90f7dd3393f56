"""What is held against what: the arms of a seed, the seeds of an arm, a run against its own folder's name."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from run_folders import write_experiment

from mulfact.errors import UserError
from mulfact.evals.comparison.outcomes import curves, fact_tokens, unigram_bits_per_byte
from mulfact.evals.comparison.runs import check_comparable, load_runs
from mulfact.provenance import write_json

ARMS, SEEDS = ["plain", "facts"], [0, 1, 2]


@pytest.fixture
def shared_dir(tmp_path: Path) -> Path:
    """Two arms with three seeds that may be compared."""
    write_experiment(tmp_path / "pilot", ARMS, SEEDS, gain=0.2)
    return tmp_path / "pilot"


def check(shared_dir: Path) -> None:
    check_comparable(load_runs(shared_dir, ARMS, SEEDS), "plain")


def edit(shared_dir: Path, files: str, change: Callable[[dict[str, Any]], Any]) -> None:
    paths = list(shared_dir.glob(files))
    assert paths
    for path in paths:
        content = json.loads(path.read_text())
        change(content)
        write_json(path, content)


def edit_predictions(shared_dir: Path, files: str, change: Callable[[list[dict[str, Any]]], list[Any]]) -> None:
    for path in shared_dir.glob(files):
        pq.write_table(pa.Table.from_pylist(change(pq.read_table(path).to_pylist())), path)


def test_the_runs_of_an_experiment_may_be_compared(shared_dir: Path) -> None:
    check(shared_dir)


def test_compute_that_differs_between_seeds_in_every_arm_alike_is_refused(shared_dir: Path) -> None:
    edit(shared_dir, "*/seed-1/ledger.json", lambda ledger: ledger["stages"]["pretrain"]["matched"].update(steps=21))
    with pytest.raises(UserError, match="ledgers differ in pretrain.steps: plain/seed-0 has 20, plain/seed-1 has 21"):
        check(shared_dir)


def test_a_recipe_that_differs_between_seeds_in_every_arm_alike_is_refused(shared_dir: Path) -> None:
    edit(shared_dir, "*/seed-2/grpo_final/provenance.json", lambda record: record["recipe"].update(max_steps=9))
    with pytest.raises(UserError, match="recipes differ in grpo.max_steps: plain/seed-0 has 20, plain/seed-2 has 9"):
        check(shared_dir)


def test_seeds_may_differ_in_their_seed_and_in_their_own_paths(shared_dir: Path) -> None:
    for seed in SEEDS:
        edit(shared_dir, f"*/seed-{seed}/sft_final/provenance.json", lambda record: record["recipe"].update(
            data_seed=record["recipe"]["seed"],
            env={"MULFACT_FACTS": record["recipe"]["output_dir"] + "/facts.json"}))  # fmt: skip
    check(shared_dir)


def test_seeds_of_an_arm_that_read_other_tokens_are_refused(shared_dir: Path) -> None:
    def read_tokens(record: dict[str, Any], digest: str) -> None:
        tokens = Path(record["recipe"]["output_dir"]).parents[1] / "tokens"
        record["inputs"] = {str(tokens): digest, str(tokens.parents[1] / "corpus"): "the same"}

    for arm in ARMS:
        edit(shared_dir, f"{arm}/*/pretrain_final/provenance.json", lambda r, arm=arm: read_tokens(r, f"of {arm}"))
    check(shared_dir)
    edit(shared_dir, "facts/seed-1/pretrain_final/provenance.json", lambda r: read_tokens(r, "older"))
    with pytest.raises(
        UserError, match="inputs differ in pretrain: <condition>/tokens .* facts/seed-0 and facts/seed-1"
    ):
        check(shared_dir)


def test_seeds_that_were_run_under_another_path_may_be_compared(shared_dir: Path) -> None:
    for path in shared_dir.glob("*/seed-1/**/provenance.json"):
        path.write_text(path.read_text().replace(str(shared_dir), "/elsewhere/outputs/pilot"))
    check(shared_dir)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:50],
        lambda rows: [{**row, "item_id": row["item_id"] + "-new"} for row in rows],
        lambda rows: [row for row in rows if row["task"] != "table_9"],
    ],
    ids=["fewer", "others", "without a task"],
)
def test_a_seed_with_other_items_in_every_arm_alike_is_refused(
    shared_dir: Path, change: Callable[[list[dict[str, Any]]], list[Any]]
) -> None:
    edit_predictions(shared_dir, "*/seed-1/eval/*/predictions.parquet", change)
    with pytest.raises(UserError, match="plain/seed-0 and plain/seed-1 answered different items after pretrain"):
        check(shared_dir)


def test_an_item_that_was_answered_twice_is_refused(shared_dir: Path) -> None:
    edit_predictions(shared_dir, "facts/seed-1/eval/sft/predictions.parquet", lambda rows: [*rows, *rows[:3]])
    with pytest.raises(
        UserError, match="facts/seed-1 answered 3 items more than once after sft, such as gsm8k_cot-000"
    ):
        check(shared_dir)


def test_a_copy_of_another_seeds_run_is_refused(shared_dir: Path) -> None:
    for arm in ARMS:
        shutil.rmtree(shared_dir / arm / "seed-1")
        shutil.copytree(shared_dir / arm / "seed-0", shared_dir / arm / "seed-1")
    with pytest.raises(
        UserError, match="plain/seed-1 holds pretrain of seed 0, .* make pretrain SCALE=pilot CONDITION=plain SEED=1"
    ):
        check(shared_dir)


def test_an_evaluation_of_another_seeds_run_is_refused(shared_dir: Path) -> None:
    for arm in ARMS:
        shutil.rmtree(shared_dir / arm / "seed-1/eval")
        shutil.copytree(shared_dir / arm / "seed-0/eval", shared_dir / arm / "seed-1/eval")
    edit(shared_dir, "*/seed-*/eval/provenance.json", lambda record: record["recipe"].pop("seed"))
    with pytest.raises(UserError, match="recipes differ in eval.output_dir: plain/seed-0 has '<run>/eval'"):
        check(shared_dir)


def test_two_seeds_of_an_arm_with_the_same_weights_are_refused_and_two_arms_are_not(shared_dir: Path) -> None:
    def with_weights(record: dict[str, Any]) -> None:
        record["outputs"]["model.safetensors"]["sha256"] = "the same"

    edit(shared_dir, "*/seed-1/sft_final/provenance.json", with_weights)
    check(shared_dir)
    edit(shared_dir, "facts/seed-2/sft_final/provenance.json", with_weights)
    with pytest.raises(
        UserError, match="facts/seed-1 and facts/seed-2 have the same model.safetensors after sft.* make sft .*SEED=2"
    ):
        check(shared_dir)


TARGETS = {
    "facts/seed-1/ledger.json": "make ledger",
    "facts/seed-1/sft_final/provenance.json": "make sft",
    "facts/seed-1/grpo_final/trainer_state.json": "make grpo",
    "facts/seed-1/grpo_final/facts.json": "make grpo",
    "facts/seed-1/grpo_final/completions/completions_00001.parquet": "make grpo",
    "facts/seed-1/pretrain_final/metrics.jsonl": "make pretrain",
    "facts/tokens/manifest.json": "make tokens",
    "facts/tokens/validation-00000.bin": "make tokens",
    "facts/seed-1/eval/sft/predictions.parquet": "make eval",
}


def read_all(shared_dir: Path) -> None:
    runs = load_runs(shared_dir, ARMS, SEEDS)
    curves(runs)
    unigram_bits_per_byte(runs)
    fact_tokens(runs["facts", 1])


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b"\xff"])
@pytest.mark.parametrize("name", [name for name in TARGETS if not name.endswith(".bin")])
def test_a_damaged_file_is_named_with_the_target_that_makes_it_again(
    shared_dir: Path, name: str, content: bytes
) -> None:
    path = shared_dir / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"{path} cannot be read .*{TARGETS[name]} SCALE=pilot CONDITION=facts SEED="):
        read_all(shared_dir)


@pytest.mark.parametrize("name", [name for name in TARGETS if "completions" not in name])
def test_a_missing_file_is_named_with_the_target_that_makes_it_again(shared_dir: Path, name: str) -> None:
    (shared_dir / name).unlink()
    with pytest.raises(UserError, match=rf"{Path(name).name}.*{TARGETS[name]} SCALE=pilot CONDITION=facts SEED="):
        read_all(shared_dir)


def test_a_damaged_record_of_the_gate_is_named(shared_dir: Path) -> None:
    path = shared_dir / "facts/seed-1/readiness/readiness.json"
    path.write_text("{")
    with pytest.raises(UserError, match=f"{path} cannot be read"):
        read_all(shared_dir)
