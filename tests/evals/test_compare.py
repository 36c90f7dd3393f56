"""The comparison: what it computes, what its command writes, and which settings it refuses."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml
from compared_experiment import arguments_for, evaluated_on_these_benchmarks, load, write_compared
from run_folders import TASKS, write_experiment

from mulfact.errors import UserError
from mulfact.evals.compare import main
from mulfact.evals.compare_arguments import CompareArguments, check_arguments
from mulfact.evals.comparison.results import build_results
from mulfact.provenance import write_json
from mulfact.text_files import read_json

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    return write_compared(tmp_path)


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
    assert all(e["p_adjusted"] >= e["p_value"] for e in family)
    assert entry["p_adjusted"] == entry["p_value"]
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


@pytest.mark.parametrize(("source", "accuracy"), [("path/to/gsm8k", 0.05), ("synthetic", 0.0)])
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
    assert baselines.keys() > {*TASKS, "gsm8k_cot_facts", "gsm8k_direct_facts"}
    assert all(of_task == {"best_constant": 0.05, "always_training_mode": accuracy} for of_task in baselines.values())


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


def test_benchmarks_that_changed_since_the_evaluation_are_refused(experiment: CompareArguments) -> None:
    path = Path(experiment.benchmarks) / "gsm8k_cot.jsonl"
    path.write_text(path.read_text().replace('"answer": "1"', '"answer": "2"'))
    with pytest.raises(UserError, match="evaluated on other benchmarks .* CONDITION=plain SEED=0"):
        build_results(experiment, load(experiment))


def test_an_unknown_primary_task_is_refused(experiment: CompareArguments) -> None:
    experiment.primary_task = "gsm9k"
    with pytest.raises(UserError, match="gsm9k: evaluated are gsm8k_cot, gsm8k_direct, table_9"):
        build_results(experiment, load(experiment))


def test_the_arms_of_the_sequence_are_compared_with_the_treatment(tmp_path: Path) -> None:
    write_experiment(tmp_path / "pilot", ["plain", "facts", "variant", "sums"], [0, 1, 2], gain=0.2)
    arguments = arguments_for(tmp_path / "pilot", ["plain", "facts", "variant", "sums"], [0, 1, 2])
    arguments.attribution = {"canonical": "one spelling", "sums": "any tokens"}
    results = build_results(arguments, load(arguments))
    (entry,) = results["contrasts"]
    assert (entry["condition"], entry["reference"], entry["role"]) == ("facts", "sums", "attribution")
    assert (entry["difference"], entry["p_adjusted"]) == (0.0, 1.0)
    roles = {row["condition"]: row for row in results["differences"] if row["primary"]}
    assert [row["role"] for row in roles.values()] == ["primary", "variant", "variant"]
    assert roles["variant"]["p_value"] < 0.05
    assert roles["variant"]["p_adjusted"] == 1.0  # the sequence ended before it
    may, may_not = (" ".join(results["conclusion"][key]) for key in ("may_conclude", "may_not_conclude"))
    assert "canonical was not run, so it may come from one spelling" in may_not
    assert "no difference to sums is shown, so it may come from any tokens" in may_not
    assert "facts scored +20.0 points against plain" in may
    assert "canonical, against which the protocol tests facts, was not run." in results["protocol"]["deviations"]


def test_the_fact_bearing_part_is_the_primary_of_synthetic_problems(experiment: CompareArguments) -> None:
    path = Path(experiment.benchmarks) / "manifest.json"
    path.write_text(path.read_text().replace("made up", "synthetic"))
    evaluated_on_these_benchmarks(experiment)
    results = build_results(experiment, load(experiment))
    (primary,) = [row for row in results["differences"] if row["primary"]]
    assert (primary["task"], primary["items"]) == ("gsm8k_cot_facts", 20)
    assert results["benchmarks"]["gsm8k_cot_add"]["items"] == 40
    assert results["exploratory"]
    assert results["protocol"]["exploratory_because"] == [
        "gsm8k_cot_facts holds synthetic problems, and the protocol's outcome is GSM8K"
    ]


def test_a_look_before_the_end_and_seeds_for_tuning_make_a_report_exploratory(tmp_path: Path) -> None:
    write_experiment(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2, 100], gain=0.2)
    arguments = arguments_for(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2])
    looks = build_results(arguments, load(arguments))["protocol"]["looks"]
    assert [look["seeds"] for look in looks] == [[0, 1, 2]]
    again = build_results(arguments, load(arguments), looks)
    assert not again["exploratory"]  # the same runs, looked at twice
    assert len(again["protocol"]["looks"]) == 2
    arguments = replace(arguments, seeds=[0, 1, 2, 100])
    reasons = build_results(arguments, load(arguments), looks)["protocol"]["exploratory_because"]
    assert reasons == [
        "seeds from 100 on are those on which settings were tuned (100)",
        "there was a look before the end: results of seeds 0, 1, 2 alone were compared before",
    ]


def test_no_outcome_at_its_ceiling_is_concluded_from(tmp_path: Path) -> None:
    write_experiment(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2], gain=0.2)
    arguments = arguments_for(tmp_path / "pilot", ["plain", "facts"], [0, 1, 2])
    results = build_results(replace(arguments, ceiling=0.25), load(arguments))
    assert {row["limit"] for row in results["differences"]} == {"ceiling"}
    assert not any("scored" in line for line in results["conclusion"]["may_conclude"])


@pytest.mark.parametrize("stage", ["sft", "grpo"])  # the primary stage is not always the last one
def test_the_command_writes_the_report_and_prints_where_it_lies(
    experiment: CompareArguments, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stage: str
) -> None:
    experiment.primary_stage = stage
    config = Path(experiment.shared_dir) / "compare.yaml"
    config.write_text(yaml.safe_dump(asdict(experiment)))
    monkeypatch.setattr("sys.argv", ["compare.py", "--config", str(config)])
    main()
    shown = capsys.readouterr().out
    assert f"{experiment.output_dir}: report.html, results.md, results.json" in shown
    written = {path.name for path in Path(experiment.output_dir).iterdir()}
    assert written == {"results.json", "results.md", "report.html", "figures", "provenance.json"}
    results = read_json(Path(experiment.output_dir) / "results.json")
    assert [row["stage"] for row in results["differences"] if row["primary"]] == [stage]
    assert {row["stage"] for row in results["accuracy"] if row["task"] == "gsm8k_cot_add"} == {stage}


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
