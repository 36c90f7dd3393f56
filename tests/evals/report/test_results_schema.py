"""results.json has the form of docs/results.schema.yaml: what compare computes, and what the tests make up."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from compared_experiment import arguments_for, load
from fabricated_results import fabricate
from jsonschema import Draft202012Validator
from run_folders import write_experiment

from mulfact.evals.comparison.results import SCHEMA_VERSION, build_results


@pytest.fixture(scope="module")
def schema(repository: Path) -> dict[str, Any]:
    return yaml.safe_load((repository / "docs/results.schema.yaml").read_text())


def problems(schema: dict[str, Any], results: dict[str, Any]) -> list[str]:
    """Return what is wrong with the results as they would stand in the file; NaN is no JSON."""
    written = json.loads(json.dumps(results, allow_nan=False))
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(written)]


def test_the_schema_is_one_and_has_the_version_of_the_code(schema: dict[str, Any], repository: Path) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"] == {"const": SCHEMA_VERSION}
    assert f"Version {SCHEMA_VERSION}." in (repository / "docs/results_schema.md").read_text()


@pytest.mark.parametrize(
    ("arms", "seeds", "gated"),
    [
        (["plain", "facts"], [0], ()),
        (["plain", "facts", "placebo"], [0, 1, 2], ()),
        (["plain", "facts", "placebo"], [0, 1], ("facts/seed-1",)),
    ],
)
def test_what_compare_computes_has_the_form(
    schema: dict[str, Any], tmp_path: Path, arms: list[str], seeds: list[int], gated: tuple[str, ...]
) -> None:
    write_experiment(tmp_path / "pilot", arms, seeds, gain=0.2, gated=gated)
    (tmp_path / "protocol.md").write_text("the protocol")
    arguments = replace(arguments_for(tmp_path / "pilot", arms, seeds), protocol=str(tmp_path / "protocol.md"))
    assert problems(schema, build_results(arguments, load(arguments))) == []


def test_what_the_tests_make_up_has_the_form(schema: dict[str, Any]) -> None:
    for gated in (False, True):
        assert problems(schema, fabricate(["baseline", "mulfact", "placebo"], [0, 1], gated)) == []


def test_a_field_that_is_missing_or_new_or_of_another_kind_is_found(schema: dict[str, Any]) -> None:
    results = fabricate(["baseline", "mulfact"], [0])
    del results["accuracy"][0]["mean"]
    results["differences"][0]["surprise"] = 1
    results["exploratory"] = "yes"
    found = " ".join(problems(schema, results))
    assert "$.accuracy[0]: 'mean' is a required property" in found
    assert "'surprise' was unexpected" in found
    assert "$.exploratory: 'yes' is not of type 'boolean'" in found
