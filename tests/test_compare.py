"""The comparison: what it computes, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from run_folders import STAGES, TASKS, readiness, write_experiment

from mulfact.errors import UserError
from mulfact.evals.compare import build_results, main
from mulfact.evals.compare_arguments import CompareArguments, check_arguments
from mulfact.evals.comparison import Run, check_comparable, load_runs
from mulfact.provenance import PROTOCOL, input_hash, write_json

Runs = dict[tuple[str, int], Run]


def arguments_for(shared_dir: Path, conditions: list[str], seeds: list[int]) -> CompareArguments:
    return CompareArguments(
        output_dir=str(shared_dir / "report"),
        shared_dir=str(shared_dir),
        conditions=conditions,
        reference=conditions[0],
        seeds=seeds,
        benchmarks=str(shared_dir / "benchmarks"),
        posttrain=str(shared_dir / "posttrain"),
        protocol=str(PROTOCOL),
        bootstrap_samples=1000,
    )


def load(arguments: CompareArguments) -> Runs:
    return load_runs(Path(arguments.shared_dir), arguments.conditions, arguments.seeds)


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    write_experiment(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2], gain=0.2)
    return arguments_for(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2])


def test_differences_are_paired_with_intervals_and_corrected_inside_a_family(experiment: CompareArguments) -> None:
    results = build_results(experiment, load(experiment))
    primary = [entry for entry in results["differences"] if entry["primary"]]
    assert [(entry["task"], entry["stage"]) for entry in primary] == [("gsm8k_cot", "grpo")]
    (entry,) = primary
    assert entry["difference"] == pytest.approx(0.2)
    assert 0 < entry["interval"][0] < 0.2 < entry["interval"][1]
    table = entry["mcnemar"]["1"]
    assert (table["only_reference"], table["only_condition"]) == (0, 12)
    assert table["p_value"] == pytest.approx(2 * 0.5**12)
    family = [e for e in results["differences"] if e["role"] == "secondary" and e["family"] == "gsm8k"]
    assert {e["task"] for e in family} == {"gsm8k_direct", "gsm8k_cot_facts", "gsm8k_direct_facts"}
    assert all(e["p_holm"] >= e["p_value"] for e in family)
    assert entry["p_holm"] == entry["p_value"]
    accuracy = next(a for a in results["accuracy"] if a["condition"] == "plain" and a["stage"] == "sft")
    assert accuracy["mean"] == pytest.approx(0.3)
    assert accuracy["seeds"].keys() == {"0", "1", "2"}


def test_what_the_report_shows_is_read_from_the_runs(experiment: CompareArguments) -> None:
    results = build_results(experiment, load(experiment))
    assert results["unigram_bits_per_byte"] == {"plain": pytest.approx(4.0), "facts": pytest.approx(4.0)}
    assert len(results["curves"]["pretrain"]) == len(results["curves"]["grpo"]) == 6
    assert results["curves"]["grpo"][0]["points"][2]["reward"] == pytest.approx(0.3)
    usage = results["usage"]["facts"]["grpo"]
    assert sum(map(sum, usage)) == 3 * 3 * 60
    assert {len(example["completions"]) for example in results["examples"]} == {2}
    shares = {"gsm8k_cot": 0.25, "gsm8k_direct": None, "table_9": None}
    assert results["gold_over_budget"] == {"plain": shares, "facts": shares}


@pytest.mark.parametrize(("source", "accuracy"), [("path/to/gsm8k", 1.0), ("synthetic", 0.0)])
def test_the_trivial_baseline_is_that_of_the_benchmarks_own_training_set(
    experiment: CompareArguments, source: str, accuracy: float
) -> None:
    path = Path(experiment.benchmarks) / "manifest.json"
    manifest = json.loads(path.read_text())
    for benchmark in manifest["benchmarks"].values():
        benchmark["source"] = source
    write_json(path, manifest)
    evaluated_on_these_benchmarks(experiment)
    baselines = build_results(experiment, load(experiment))["trivial_baselines"]
    assert baselines.keys() == {*TASKS, "gsm8k_cot_facts", "gsm8k_direct_facts"}
    assert all(of_task == {"always_training_mode": accuracy} for of_task in baselines.values())


def evaluated_on_these_benchmarks(arguments: CompareArguments) -> None:
    """Let the evaluations say that they used the benchmarks as they are now."""
    edit_records(arguments, "*/*/eval", lambda record: record["inputs"].update(
        dict.fromkeys(record["inputs"], input_hash(arguments.benchmarks))))  # fmt: skip


def edit_records(arguments: CompareArguments, folders: str, edit: Callable[[dict[str, Any]], Any]) -> None:
    for path in Path(arguments.shared_dir).glob(f"{folders}/provenance.json"):
        record = json.loads(path.read_text())
        edit(record)
        write_json(path, record)


def test_conclusions_follow_from_the_numbers(tmp_path: Path) -> None:
    for gain, seeds in ((0.0, [0, 1, 2]), (0.2, [0]), (0.2, [0, 1, 2])):
        shared_dir = tmp_path / f"{gain}-{len(seeds)}"
        write_experiment(shared_dir, ["plain", "facts"], seeds, gain=gain)
        arguments = arguments_for(shared_dir, ["plain", "facts"], seeds)
        conclusion = build_results(arguments, load(arguments))["conclusion"]
        may, may_not = " ".join(conclusion["may_conclude"]), " ".join(conclusion["may_not_conclude"])
        assert conclusion["headline"].startswith("Exploratory") == (len(seeds) == 1)
        assert ("no difference is shown" in conclusion["headline"]) == (gain == 0)
        assert ("facts scored +20.0 points" in may) == (gain > 0)
        assert ("would have been missed once in five times" in may_not) == (gain == 0)


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


def test_benchmarks_that_changed_since_the_evaluation_are_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.benchmarks) / "gsm8k_cot.jsonl"
    path.write_text(path.read_text().replace("4*5", "3*5"))
    with pytest.raises(UserError, match="evaluated on other benchmarks .* CONDITION=plain SEED=0"):
        build_results(experiment, load(experiment))


def test_an_unknown_primary_task_is_refused(experiment: CompareArguments) -> None:
    experiment.primary_task = "gsm9k"
    with pytest.raises(UserError, match="gsm9k: evaluated are gsm8k_cot, gsm8k_direct, table_9"):
        build_results(experiment, load(experiment))


def test_departures_from_the_protocol_are_told(experiment: CompareArguments) -> None:
    shared_dir = Path(experiment.shared_dir)
    path = shared_dir / "facts/seed-0/sft_final/provenance.json"
    record = json.loads(path.read_text())
    record["git"] = {"commit": "another", "dirty": True}
    record["hardware"]["gpus"] = ["NVIDIA H100"]
    write_json(path, record)
    write_json(shared_dir / "plain/seed-1/readiness/readiness.json", readiness(0.05, force=True))
    found = " ".join(build_results(experiment, load(experiment))["protocol"]["deviations"])
    assert "GRPO was forced where pass@k lay below readiness.threshold: plain/seed-1." in found
    assert "facts/seed-0" in found
    assert "Not all runs made sft with the same commit" in found
    assert "Not all runs made sft with the same hardware" in found
    assert "compare.bootstrap_samples is 1000; the protocol fixes 10000" in found
    assert "compare.reference is plain; the protocol fixes baseline" in found


def test_a_protocol_that_changed_since_the_runs_makes_them_exploratory(experiment: CompareArguments) -> None:
    results = build_results(experiment, load(experiment))
    assert results["protocol"]["preregistered"]
    assert not results["exploratory"]
    changed = Path(experiment.shared_dir) / "protocol.md"
    changed.write_text(PROTOCOL.read_text() + "One more look.")
    experiment.protocol = str(changed)
    results = build_results(experiment, load(experiment))
    assert results["exploratory"]
    assert not results["protocol"]["preregistered"]
    assert results["conclusion"]["headline"].startswith("Exploratory. ")
    told = [line for line in results["protocol"]["deviations"] if "text" in line]
    assert told == [
        "The protocol's text has changed since these ran: pretrain, sft, grpo, readiness, eval of every run."
    ]


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


def test_fewer_seeds_than_the_protocol_asks_for_make_the_report_exploratory(experiment: CompareArguments) -> None:
    experiment.seeds = [0, 1]
    results = build_results(experiment, load(experiment))
    assert results["exploratory"]
    assert "2 seed(s); the protocol asks for at least 3." in results["protocol"]["deviations"]
    assert results["protocol"]["minimum_seeds"] == 3
    assert "minimum_seeds" not in asdict(experiment)  # it is the protocol's, no setting
    assert results["conclusion"]["headline"].startswith("Exploratory. ")
    assert "2 seeds say too little" in " ".join(results["conclusion"]["may_not_conclude"])


@pytest.fixture
def gated(tmp_path: Path) -> CompareArguments:
    """Two arms and three seeds; the gate stopped one run before GRPO."""
    write_experiment(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2], gain=0.2, gated=("plain/seed-1",))
    return arguments_for(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2])


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
    assert "facts scored +20.0 points" in results["conclusion"]["headline"]
    assert "after SFT" in results["conclusion"]["headline"]
    assert "Anything about GRPO" in " ".join(results["conclusion"]["may_not_conclude"])


def test_the_fallback_is_told_with_what_the_gate_found_in_every_run(gated: CompareArguments) -> None:
    results = build_results(gated, load(gated))
    told = results["protocol"]["fallback"]
    assert "its gate stopped 1 of 6 runs, where pass@8 of the SFT checkpoint" in told
    assert "lies below 10%" in told
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
    assert "readiness.threshold is 0.05; the protocol fixes 0.1." in deviations


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
    shown = " ".join(capsys.readouterr().out.split())
    assert "GRPO is not compared: its gate stopped 1 of 6 runs" in shown
    assert "gsm8k_cot" in shown


def test_controls_are_compared_with_the_treatment(tmp_path: Path) -> None:
    write_experiment(tmp_path / "pilot", ["plain", "facts", "placebo"], [0, 1, 2], gain=0.2)
    arguments = arguments_for(tmp_path / "pilot", ["plain", "facts", "placebo"], [0, 1, 2])
    (entry,) = build_results(arguments, load(arguments))["contrasts"]
    assert (entry["condition"], entry["reference"], entry["difference"]) == ("facts", "placebo", 0.0)
    assert not entry["control"]  # its tokens stand for facts as well

    for path in Path(arguments.shared_dir).glob("placebo/*/grpo_final/facts.json"):
        facts = json.loads(path.read_text())
        write_json(path, facts | {"fact_tokens": [token | {"operands": None} for token in facts["fact_tokens"]]})
    (entry,) = build_results(arguments, load(arguments))["contrasts"]
    assert entry["control"]


def test_the_command_writes_the_report_and_prints_where_it_lies(
    experiment: CompareArguments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Path(experiment.shared_dir) / "compare.yaml"
    config.write_text(yaml.safe_dump(asdict(experiment)))
    monkeypatch.setattr("sys.argv", ["compare.py", "--config", str(config)])
    main()
    shown = capsys.readouterr().out
    assert "gsm8k_cot" in shown
    assert f"{experiment.output_dir}/report.html" in shown
    written = {path.name for path in Path(experiment.output_dir).iterdir()}
    assert written == {"results.json", "results.md", "report.html", "figures", "provenance.json"}


@pytest.mark.parametrize("samples", [0, 5, 999])
def test_too_few_draws_for_an_interval_are_refused(experiment: CompareArguments, samples: int) -> None:
    with pytest.raises(UserError, match=f"compare.bootstrap_samples is {samples}: expected 1,000 or more draws"):
        replace(experiment, bootstrap_samples=samples)


def test_an_experiment_that_compares_nothing_is_refused(experiment: CompareArguments) -> None:
    experiment.reference = "elsewhere"
    with pytest.raises(UserError, match="not among the arms"):
        check_arguments(experiment)
    experiment.reference, experiment.conditions = "plain", ["plain"]
    with pytest.raises(UserError, match="two arms"):
        check_arguments(experiment)
    experiment.conditions, experiment.primary_stage = ["plain", "facts"], "gropo"
    with pytest.raises(UserError, match="primary_stage is 'gropo': expected one of pretrain, sft, grpo"):
        check_arguments(experiment)
    experiment.primary_stage, experiment.seeds = "grpo", [0, 1, 1]
    with pytest.raises(UserError, match="each may stand there once"):
        check_arguments(experiment)
