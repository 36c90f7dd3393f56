"""Declared controls: what they may differ in, that they are no arms, and what an effect is worth by them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compared_experiment import arguments_for
from run_folders import write_experiment

from mulfact.errors import UserError
from mulfact.evals.compare_arguments import CompareArguments
from mulfact.evals.comparison.controls import equivalent, slope_of
from mulfact.evals.comparison.results import build_results, check_all
from mulfact.evals.comparison.runs import load_runs
from mulfact.provenance import write_json

SEEDS = [0, 1, 2]
DECLARED = {"arm": "plain", "pretrain": {"steps_factor": 1.1}, "differs": ["positions"]}


@pytest.fixture
def experiment(tmp_path: Path) -> CompareArguments:
    write_experiment(tmp_path / "pilot", ["plain", "facts", "more"], SEEDS, gain=0.2)
    arguments = arguments_for(tmp_path / "pilot", ["plain", "facts"], SEEDS)
    for folder in (tmp_path / "pilot").glob("*/seed-*"):
        factor = 1.1 if folder.parent.name == "more" else 1.0
        change(folder / "ledger.json", lambda ledger, factor=factor: ledger["stages"]["pretrain"]["matched"].update(
            positions=1000 * factor))  # fmt: skip
        change(folder / "pretrain_final/provenance.json", lambda record, factor=factor: record["recipe"].update(
            steps_factor=factor))  # fmt: skip
    return replace(arguments, controls={"more": DECLARED})


def change(path: Path, edit) -> None:
    content = json.loads(path.read_text())
    edit(content)
    write_json(path, content)


def load(arguments: CompareArguments):
    return load_runs(Path(arguments.shared_dir), [*arguments.conditions, *arguments.controls], arguments.seeds)


def test_a_control_is_shown_apart_and_says_what_an_effect_is_worth(experiment: CompareArguments) -> None:
    runs = load(experiment)
    check_all(experiment, runs)
    results = build_results(experiment, runs)
    assert results["conditions"] == ["plain", "facts"]
    assert "more" not in {row["condition"] for row in results["accuracy"]}
    control = results["controls"]["runs"]["more"]
    assert (control["training"], control["differs"]) == (pytest.approx(1.1), {"positions": [1000, 1100]})
    assert control["tasks"]["gsm8k_cot"]["difference"] == pytest.approx(0.2)
    primary = next(row for row in results["differences"] if row["role"] == "primary")
    worth = primary["equivalent_compute"]
    assert worth["share"] == pytest.approx(0.1)  # it gains as much as the control
    assert worth["interval"][0] <= 0.1 <= worth["interval"][1]
    assert "as much as 10% more training" in " ".join(results["conclusion"]["may_conclude"])


def test_only_what_is_declared_may_differ(experiment: CompareArguments) -> None:
    undeclared = replace(experiment, controls={"more": DECLARED | {"differs": []}})
    with pytest.raises(UserError, match="ledgers differ in pretrain.positions"):
        check_all(undeclared, load(undeclared))
    undeclared = replace(experiment, controls={"more": DECLARED | {"pretrain": {}}})
    with pytest.raises(UserError, match="recipes differ in pretrain.steps_factor"):
        check_all(undeclared, load(undeclared))
    path = Path(experiment.shared_dir) / "more/seed-1/ledger.json"
    change(path, lambda ledger: ledger["stages"]["sft"]["matched"].update(steps=21))
    with pytest.raises(UserError, match="ledgers differ in sft.steps"):
        check_all(experiment, load(experiment))


def test_the_worth_of_a_difference_is_read_off_the_line_of_training() -> None:
    generator = np.random.default_rng(0)
    points = [(ratio, 0.5 + 0.4 * np.log(ratio) + generator.normal(0, 0.002, 8)) for ratio in (0.9, 1.0, 1.1)]
    slope = slope_of(points)
    assert slope is not None
    assert slope[0] == pytest.approx(0.4, abs=0.05)
    ratios = [0.9, 1.1]
    found = equivalent({"difference": 0.02, "standard_error": 0.004}, slope, 0.95, ratios)
    assert found is not None
    assert found["share"] == pytest.approx(np.exp(0.05) - 1, abs=0.01)
    assert found["interval"][0] < found["share"] < found["interval"][1]
    assert not found["extrapolated"]
    larger = equivalent({"difference": 0.2, "standard_error": 0.004}, slope, 0.95, ratios)
    assert larger is not None
    assert larger["extrapolated"]
    loss = equivalent({"difference": -0.02, "standard_error": 0.004}, slope, 0.95, ratios)
    assert loss is not None
    assert loss["share"] < 0


def test_nothing_is_said_where_training_is_not_shown_to_help() -> None:
    generator = np.random.default_rng(0)
    flat = slope_of([(ratio, generator.normal(0.5, 0.05, 3)) for ratio in (0.9, 1.0, 1.1)])
    assert equivalent({"difference": 0.02, "standard_error": 0.01}, flat, 0.95, [0.9, 1.1]) is None
    assert slope_of([(1.0, np.array([0.5, 0.6, 0.7]))]) is None
