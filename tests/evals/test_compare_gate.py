"""What the gate before GRPO does to a comparison: whom it stopped, what is compared then, and what is told of it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml
from compared_experiment import load, write_compared
from run_folders import readiness

from mulfact.errors import UserError
from mulfact.evals.compare import main
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.results import build_results
from mulfact.evals.comparison.runs import check_comparable
from mulfact.provenance import write_json

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    return write_compared(tmp_path)


@pytest.fixture
def gated(tmp_path: Path) -> CompareArguments:
    """Two arms and three seeds; the gate stopped one run before GRPO."""
    return write_compared(tmp_path, gated=("plain/seed-1",))


def test_one_stopped_run_takes_grpo_out_of_the_comparison_for_all(gated: CompareArguments) -> None:
    runs = load(gated)
    check_comparable(runs, "plain")
    results = build_results(gated, runs)
    assert results["stages"] == ["pretrain", "sft"]
    for part in ("accuracy", "differences", "error_classes", "fact_use"):
        assert {row["stage"] for row in results[part]} == {"pretrain", "sft"}
    assert results["curves"]["grpo"] == []
    assert results["ledger"]["matched"].keys() == results["ledger"]["reported"].keys() == {"pretrain", "sft"}
    roles = {(row["task"], row["stage"]): row["role"] for row in results["differences"]}
    assert roles["gsm8k_cot", "sft"] == "primary"
    assert roles["table_9", "sft"] == "secondary"
    assert roles["gsm8k_cot", "pretrain"] == "descriptive"
    assert {row["stage"] for row in results["measures"]} == {"pretrain", "sft"}
    assert "facts +20.0 points" in results["conclusion"]["headline"]
    assert "after SFT" in results["conclusion"]["headline"]
    assert "Anything about GRPO" in " ".join(results["conclusion"]["may_not_conclude"])


def test_the_fallback_is_told_with_what_the_gate_found_in_every_run(gated: CompareArguments) -> None:
    results = build_results(gated, load(gated))
    told = results["protocol"]["fallback"]
    assert "its gate stopped 1 of 6 runs, where fewer than 10% of the development prompts" in told
    assert "every run is compared after pretraining and SFT alone, and the primary outcome is that after SFT" in told
    assert not any("primary_stage" in line for line in results["protocol"]["deviations"])
    found = results["readiness"]
    assert (found["prompts"], found["samples"], found["threshold"]) == (64, 8, 0.1)
    decisions = {(run["condition"], run["seed"]): (run["decision"], run["pass_at_k"]) for run in found["runs"]}
    assert decisions.pop(("plain", 1)) == ("stopped", 0.05)
    assert set(decisions.values()) == {("passed", 0.5)}
    assert len(decisions) == 5


def test_what_the_gate_found_is_told_where_all_passed_too(experiment: CompareArguments) -> None:
    results = build_results(experiment, load(experiment))
    assert results["stages"] == ["pretrain", "sft", "grpo"]
    assert results["protocol"]["fallback"] is None
    assert [run["decision"] for run in results["readiness"]["runs"]] == ["passed"] * 6


def test_another_gate_than_the_protocols_is_a_deviation(experiment: CompareArguments) -> None:
    for path in Path(experiment.shared_dir).glob("*/seed-*/readiness/readiness.json"):
        write_json(path, readiness(0.5) | {"threshold": 0.05})
    deviations = build_results(experiment, load(experiment))["protocol"]["deviations"]
    assert "readiness.threshold is 0.05; the protocol fixes 0.2." in deviations


def test_a_forced_run_below_the_threshold_is_compared_after_grpo(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-2/readiness/readiness.json"
    write_json(path, readiness(0.05, force=True))
    results = build_results(experiment, load(experiment))
    assert results["stages"][-1] == "grpo"
    assert results["readiness"]["runs"][-1]["decision"] == "forced"


def test_beside_a_stopped_run_one_that_crashed_in_grpo_is_still_refused(gated: CompareArguments) -> None:
    shutil.rmtree(Path(gated.shared_dir) / "facts/seed-0/grpo_final")
    with pytest.raises(UserError, match="facts/seed-0 has not finished: .* lacks grpo_final.* make grpo"):
        load(gated)


def test_a_stopped_run_that_was_not_evaluated_is_refused(gated: CompareArguments) -> None:
    shutil.rmtree(Path(gated.shared_dir) / "plain/seed-1/eval")
    with pytest.raises(UserError, match="plain/seed-1 has not finished: .* lacks eval/provenance.json; .* make eval"):
        load(gated)


@pytest.mark.parametrize(("key", "value"), [("threshold", 0.04), ("samples", 16), ("prompts", 32)])
def test_runs_with_different_gates_are_refused(gated: CompareArguments, key: str, value: float) -> None:
    path = Path(gated.shared_dir) / "facts/seed-2/readiness/readiness.json"
    write_json(path, readiness(0.5) | {key: value})
    with pytest.raises(UserError, match=f"readiness differs in {key}: plain/seed-0 has .*, facts/seed-2 has {value}"):
        check_comparable(load(gated), "plain")


def test_a_gate_that_one_arm_alone_is_forced_through_is_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.shared_dir) / "facts/seed-1/readiness/provenance.json"
    record = json.loads(path.read_text())
    record["recipe"]["force"] = True
    write_json(path, record)
    with pytest.raises(UserError, match="recipes differ in readiness.force: plain/seed-1 has False"):
        check_comparable(load(experiment), "plain")


def test_the_command_compares_what_the_gate_left(
    gated: CompareArguments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(gated.shared_dir) / "compare.yaml"
    config.write_text(yaml.safe_dump(asdict(gated)))
    monkeypatch.setattr("sys.argv", ["compare.py", "--config", str(config)])
    main()
    assert "report.html" in capsys.readouterr().out
    told = (Path(gated.output_dir) / "results.md").read_text()
    assert "GRPO is not compared: its gate stopped 1 of 6 runs" in " ".join(told.split())
