"""The house's files for GitHub: they parse, run what the Makefile has, and pin what setup.cfg pins."""

import configparser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def read(path: Path) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as a truth value.
    return {"on" if key is True else key: value for key, value in yaml.safe_load(path.read_text()).items()}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_commands_that_exist(path: Path) -> None:
    workflow = read(path)
    assert workflow["on"]
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands
    for command in commands:
        program, *words = command.split()
        if program == "make":
            dry = subprocess.run(["make", "-n", "VENV=", *words], cwd=REPOSITORY, capture_output=True, text=True)
            assert dry.returncode == 0, dry.stderr
        else:
            assert (REPOSITORY / program).is_file()


def test_the_checks_are_those_of_the_desk() -> None:
    assert {path.stem for path in WORKFLOWS} == {"checks", "weekly"}
    steps = read(REPOSITORY / ".github/workflows/checks.yml")["jobs"]["checks"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["make quality", ".ci/run"]


def test_each_commit_meets_the_pinned_ruff() -> None:
    config = configparser.ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    (pinned,) = re.findall(r"^ruff==(\S+)$", config["options.extras_require"]["quality"], re.MULTILINE)
    (repo,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["rev"] == f"v{pinned}"


def test_an_issue_about_numbers_needs_results_json() -> None:
    form = yaml.safe_load((REPOSITORY / ".github/ISSUE_TEMPLATE/result.yml").read_text())
    required = {
        field["id"]: field["attributes"]["label"]
        for field in form["body"]
        if field.get("validations", {}).get("required")
    }
    assert required["results"] == "results.json"


def test_the_container_builds_the_environment_of_make() -> None:
    container = json.loads((REPOSITORY / ".devcontainer/devcontainer.json").read_text())
    assert container["postCreateCommand"].endswith("make .venv/.installed")
