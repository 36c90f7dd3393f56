"""Departures from the protocol: each is told, and a text that changed since makes the report exploratory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from compared_experiment import edit_records, evaluated_on_these_benchmarks, load, write_compared
from recipe_defaults import defaults
from run_folders import readiness

from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.deviations import GATE, exploratory_because
from mulfact.evals.comparison.deviations import PROTOCOL as FIXED
from mulfact.evals.comparison.results import build_results
from mulfact.layout import STUDY_RECORD
from mulfact.provenance import PROTOCOL, hash_file, write_json


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    return write_compared(tmp_path)


def test_departures_from_the_protocol_are_told(experiment: CompareArguments) -> None:
    shared_dir = Path(experiment.shared_dir)
    path = shared_dir / "facts/seed-0/sft_final/provenance.json"
    record = json.loads(path.read_text())
    record["git"] = {"commit": "another", "dirty": True}
    record["hardware"]["gpus"] = ["NVIDIA H100"]
    write_json(path, record)
    write_json(shared_dir / "plain/seed-1/readiness/readiness.json", readiness(0.05, force=True))
    found = " ".join(build_results(experiment, load(experiment))["protocol"]["deviations"])
    assert "GRPO was forced where too few groups were mixed (readiness.threshold): plain/seed-1." in found
    assert "facts/seed-0" in found
    assert "Not all runs made sft with the same commit" in found
    assert "Not all runs made sft with the same hardware" in found
    assert "compare.treatment is facts; the protocol fixes mulfact" in found
    assert "compare.reference is plain; the protocol fixes baseline" in found


def test_a_protocol_that_changed_since_the_runs_makes_them_exploratory(experiment: CompareArguments) -> None:
    results = build_results(experiment, load(experiment))
    assert not results["exploratory"]
    changed = Path(experiment.shared_dir) / "protocol.md"
    changed.write_text(PROTOCOL.read_text() + "One more look.")
    experiment.protocol = str(changed)
    results = build_results(experiment, load(experiment))
    assert results["exploratory"]
    assert results["protocol"]["exploratory_because"] == [
        "not every stage is known to have run under the protocol's text as it is now"
    ]
    assert results["conclusion"]["headline"].startswith("Exploratory. ")
    told = [line for line in results["protocol"]["deviations"] if "text" in line]
    assert told == [
        "The protocol's text has changed since these ran: pretrain, sft, grpo, readiness, eval of every run."
    ]


def test_a_plan_that_was_fixed_before_the_runs_stands_in_for_the_protocol(
    experiment: CompareArguments, tmp_path: Path
) -> None:
    """Of a synthetic outcome, and of a protocol that was edited since: exploratory without the plan."""
    plan, protocol = tmp_path / "plan.md", tmp_path / "protocol.md"
    plan.write_text("The primary outcome is of synthetic problems.")
    protocol.write_text(PROTOCOL.read_text() + "One more look.")
    runs, benchmarks = load(experiment), {experiment.primary_task: {"source": "synthetic"}}
    without = exploratory_because(replace(experiment, protocol=str(protocol)), runs, benchmarks, [])
    assert len(without) == 2
    planned = replace(experiment, protocol=str(protocol), plan=str(plan))
    assert "under another text of the plan, or under none" in exploratory_because(planned, runs, benchmarks, [])[0]
    for run in runs.values():
        write_json(run.folder / STUDY_RECORD, {"plan_sha256": hash_file(plan)})
    assert exploratory_because(planned, runs, benchmarks, []) == []
    plan.write_text("Another outcome.")
    assert len(exploratory_because(planned, runs, benchmarks, [])) == 1


def test_a_study_with_fewer_seeds_than_its_runs_were_recorded_for_is_exploratory(
    experiment: CompareArguments, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.md"
    plan.write_text("Three seeds.")
    planned = replace(experiment, plan=str(plan))
    runs, benchmarks = load(experiment), {experiment.primary_task: {"source": "synthetic"}}
    for run in runs.values():
        write_json(run.folder / STUDY_RECORD, {"plan_sha256": hash_file(plan), "seeds": experiment.seeds})
    assert exploratory_because(planned, runs, benchmarks, []) == []
    last = list(runs.values())[-1]
    write_json(last.folder / STUDY_RECORD, {"plan_sha256": hash_file(plan), "seeds": [*experiment.seeds, 3, 4]})
    assert exploratory_because(planned, runs, benchmarks, []) == [
        "the study was closed before its end: it was to have the seeds 3, 4 too"
    ]


def test_the_recipe_is_what_the_protocol_fixes() -> None:
    compare, gate = defaults("compare"), defaults("readiness")
    compare["attribution"] = list(compare["attribution"])
    assert {name: compare[name] for name in FIXED} == FIXED
    assert {name: gate[name] for name in GATE} == GATE


def test_stages_under_another_or_an_unknown_text_of_the_protocol_are_named(experiment: CompareArguments) -> None:
    edit_records(experiment, "*/seed-1/eval", lambda record: record.update(protocol_sha256="0" * 64))
    edit_records(experiment, "facts/seed-0/sft_final", lambda record: record.update(protocol_sha256="0" * 64))
    edit_records(experiment, "*/*/pretrain_final", lambda record: record.pop("protocol_sha256"))
    edit_records(experiment, "facts/seed-2/grpo_final", lambda record: record.update(protocol_sha256=None))
    results = build_results(experiment, load(experiment))
    assert results["exploratory"]
    assert [line for line in results["protocol"]["deviations"] if "text" in line] == [
        "The protocol's text has changed since these ran: eval of plain/seed-1, facts/seed-1; sft of facts/seed-0.",
        "Under which text of the protocol these ran is not recorded: pretrain of every run; grpo of facts/seed-2.",
    ]


def test_an_evaluation_that_leaves_something_out_is_a_deviation(experiment: CompareArguments) -> None:
    edit_records(experiment, "*/*/eval", lambda record: record["recipe"].update(max_samples=9, max_cut_prompts=0.02))
    path = Path(experiment.benchmarks) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["benchmarks"]["table_9"]["items"] = 1243
    manifest["benchmarks"]["gsm8k_cot"]["items"] = 1319
    write_json(path, manifest)
    evaluated_on_these_benchmarks(experiment)
    results = build_results(experiment, load(experiment))
    found = results["protocol"]["deviations"]
    assert "eval.max_samples is 9; the protocol has every item evaluated." in found
    assert any(line.startswith("eval.max_cut_prompts is 0.02: so many prompts of a task may be cut") for line in found)
    assert "Not every item of the benchmarks was evaluated: 60 of 1,319 of gsm8k_cot, 60 of 1,243 of table_9." in found
    assert "gsm8k_direct has 60 items; GSM8K's test set has 1,319." in found
    assert not any(line.startswith("gsm8k_cot has") for line in found)
    assert "60 items, 3 seeds" in results["conclusion"]["headline"]


def test_a_whole_evaluation_of_synthetic_problems_leaves_nothing_out(experiment: CompareArguments) -> None:
    path = Path(experiment.benchmarks) / "manifest.json"
    path.write_text(path.read_text().replace("made up", "synthetic"))
    evaluated_on_these_benchmarks(experiment)
    found = " ".join(build_results(experiment, load(experiment))["protocol"]["deviations"])
    assert "gsm8k_cot holds the gsm8k_cot items; the primary outcome is GSM8K itself." in found
    for word in ("max_samples", "max_cut_prompts", "evaluated", "1,319"):
        assert word not in found


def test_fewer_seeds_than_the_protocol_asks_for_make_the_report_exploratory(experiment: CompareArguments) -> None:
    experiment.seeds = [0, 1]
    results = build_results(experiment, load(experiment))
    assert results["exploratory"]
    assert "2 seed(s); the protocol asks for at least 3." in results["protocol"]["deviations"]
    assert results["conclusion"]["headline"].startswith("Exploratory. ")
    assert "2 seeds say too little" in " ".join(results["conclusion"]["may_not_conclude"])
