"""What make does with its own variables: folders are named after some, and text is passed on as it was typed."""

import os
import subprocess
from pathlib import Path

import pytest

# Stands for python: shows what it was called with, one argument a line.
PYTHON = '#!/bin/sh\nprintf "[%s]\\n" "$@"\n'


def make(repository: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder of its own, where python only shows its arguments."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin/python").write_text(PYTHON)
    (folder / "bin/python").chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    environment["PATH"] = f"{folder / 'bin'}:{environment['PATH']}"
    command = ["make", "--file", str(repository / "Makefile"), "VENV=", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["clean", "SCALE="], "SCALE is '': expected one word, such as SCALE=smoke"),
        (["clean", "SCALE=", "OUTPUTS="], "SCALE is '': expected one word"),
        (["clean", "SCALE=.."], "SCALE is '..': expected the name of a file in recipes/scales"),
        (["clean", "SCALE=../data"], "SCALE is '../data': expected the name of a file in recipes/scales"),
        (["clean", "OUTPUTS="], "OUTPUTS is '': expected one word, such as OUTPUTS=outputs"),
        (["experiment", "OUTPUTS=my out"], "OUTPUTS is 'my out': expected one word"),
        (["clean", "OUTPUTS=a*b"], "OUTPUTS is 'a*b': a path with * in it cannot be used"),
        (["experiment", "OUTPUTS=50%"], "a path with % in it cannot be used; link the folder under a plain name"),
        (["experiment", "OUTPUTS=$(HOME)"], "OUTPUTS is '$(HOME)': a path with ( in it"),
        (["posttrain", "GSM8K=/tmp/it's"], "GSM8K is '/tmp/it's': a path with ' in it"),
        (["sft", "SEED="], "SEED is '': expected one word, such as SEED=0"),
        (["sft", "CONDITION=baseline mulfact"], "CONDITION is 'baseline mulfact': expected one word"),
        (["posttrain", "GSM8K=/tmp/g s"], "GSM8K is '/tmp/g s': expected a Hub id, or a folder without a space"),
        (["smoke", "OUTPUTS=runs/lr=0.1"], "OUTPUTS is 'runs/lr=0.1': a path with = in it cannot be used"),
        (["smoke", "OUTPUTS=-x"], "OUTPUTS is '-x': expected the path of a folder"),
        (["smoke", "OUTPUTS=~/x"], "OUTPUTS is '~/x': expected the path of a folder"),
        (["smoke", "OUTPUTS=."], "OUTPUTS is '.': expected the path of a folder"),
        (
            ["smoke", "SCALE=pilot"],
            "make smoke is the scale smoke, and SCALE is 'pilot': say make experiment SCALE=pilot",
        ),
        (["smoke", "OVERIDES=a.b=1"], "OVERIDES= is no variable of this Makefile; there are: SCALE CONDITION SEED"),
        (["smoke", "seeds=0 1"], "seeds= is no variable of this Makefile"),
        (["push", "ORG=me", "PUBLIC=0"], "PUBLIC is '0': say PUBLIC=1 for yes, and PUBLIC= for no"),
        (["jobs", "ORG=me", "FLAVOR=a100-large", "GO=no"], "GO is 'no': say GO=1 for yes"),
        (["clean", "AGAIN=0"], "AGAIN is '0': say AGAIN=1 for yes, and AGAIN= for no"),
        (["experiment", "DRY=true"], "DRY is 'true': say DRY=1 for yes"),
        (["clean", "DRY=1"], "DRY=1 is of make experiment, smoke and compare; make clean would run"),
        (["halves", "DRY=1"], "make halves would run: say make -n for the commands of another target"),
        (["tokens", "lengths", "DRY=1"], "make tokens lengths would run"),
        (["experiment", "CONDITION=sums"], 'make experiment is about several: say CONDITIONS="baseline sums"'),
        (["plan", "CONDITION=sums"], "CONDITION=sums names the arm of a single stage or run, and make plan is about"),
    ],
)
def test_a_name_that_cannot_be_a_folder_is_refused(
    repository: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "outputs/smoke").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    result = make(repository, tmp_path, *arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert "rm" not in result.stdout
    assert (tmp_path / "outputs/smoke").is_dir()


def test_a_switch_of_the_environment_is_read_as_that_of_the_command(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC", "0")
    assert "PUBLIC is '0': say PUBLIC=1 for yes" in make(repository, tmp_path, "push", "ORG=me").stderr
    for value, public in (("1", True), ("", False)):
        monkeypatch.setenv("PUBLIC", value)
        assert ("[--public]" in make(repository, tmp_path, "push", "ORG=me").stdout) == public


def test_clean_removes_one_scale(repository: Path, tmp_path: Path) -> None:
    for scale in ("smoke", "pilot"):
        (tmp_path / "outputs" / scale).mkdir(parents=True)
    assert make(repository, tmp_path, "clean").returncode == 0
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["pilot"]


def test_arms_and_seeds_are_those_that_the_experiment_remembers_until_others_are_named(
    repository: Path, tmp_path: Path
) -> None:
    recipes = tmp_path / "outputs/smoke/recipes"
    recipes.mkdir(parents=True)
    (recipes / "settings.yaml").write_text("CONDITIONS: baseline canonical\nCONTROLS: baseline_more\nSEEDS: 7 8\n")

    def shown(target: str, *variables: str) -> str:
        return " ".join(make(repository, tmp_path, "-n", target, *variables).stdout.split())

    assert "--conditions baseline canonical --controls baseline_more --seeds 7 8" in shown("plan")
    assert "--conditions baseline canonical --controls baseline_more --seeds 7 8 --experiment" in shown("experiment")
    assert "outputs/smoke/canonical/seed-7/ledger.json" in shown("ledger")
    assert "--conditions baseline canonical --controls baseline_more --seeds 3" in shown("plan", "SEED=3")
    assert "--given CONDITIONS CONTROLS SEEDS --conditions a b --seeds 0 1 --experiment" in shown(
        "experiment", "CONDITIONS=a b", "SEEDS=0 1", "CONTROLS="
    )
    (recipes / "settings.yaml").write_text("SEEDS: '9'\n")
    assert "--conditions baseline mulfact --seeds 9" in shown("plan")


def test_clean_asks_before_finished_training_goes(repository: Path, tmp_path: Path) -> None:
    made = tmp_path / "outputs/smoke/mulfact/seed-0/pretrain_final"
    made.mkdir(parents=True)
    (made / "provenance.json").write_text('{"seconds": 5400}')
    (tmp_path / "bin").mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    command = ["make", "--file", str(repository / "Makefile"), "VENV=", "clean", f"PYTHONPATH={repository}"]

    def clean(*variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *variables], cwd=tmp_path, env=environment, capture_output=True, text=True)

    refused = clean()
    assert refused.stderr.startswith("error: outputs/smoke: 1 finished stage that took 1.50 hours would be removed, ")
    assert "mulfact/seed-0 pretrain (1.50 h). Say make clean AGAIN=1 if that is meant" in refused.stderr
    assert made.is_dir()
    assert "removing outputs/smoke: 1 finished" in clean("AGAIN=1").stdout
    assert not (tmp_path / "outputs/smoke").exists()


def test_text_and_file_names_with_a_dollar_reach_the_command(repository: Path, tmp_path: Path) -> None:
    for arm in ("baseline", "mulfact"):
        product = tmp_path / "outputs/smoke" / arm / "tokenizer/provenance.json"
        for path in (tmp_path / f"outputs/smoke/{arm}/recipes/tokenizer.yaml", product):
            path.parent.mkdir(parents=True)
            path.touch()
    finished = ["-o", "outputs/smoke/base_tokenizer/provenance.json"]
    shown = make(repository, tmp_path, *finished, "inspect", "TEXT=He pays $6*9 = $54 & 'more'")
    assert shown.returncode == 0, shown.stderr
    assert "[He pays $6*9 = $54 & 'more']" in shown.stdout
    listed = make(repository, tmp_path, *finished, "rewrites", "FILES=a$6.txt b.txt")
    assert "[a$6.txt]\n[b.txt]\n" in listed.stdout
    assert "give TEXT=..." in make(repository, tmp_path, *finished, "inspect").stderr


def test_outputs_are_a_text_also_where_they_look_like_a_number(repository: Path, tmp_path: Path) -> None:
    shown = make(repository, tmp_path, "sft", "OUTPUTS=2026", "GSM8K=1e3")
    assert "[--outputs]\n[2026]\n[--scale]\n" in shown.stdout
    assert "[--given]\n[GSM8K]\n" in shown.stdout


@pytest.mark.parametrize("written", ["outputs/", "./outputs", "./outputs//", "outputs/./"])
def test_other_ways_to_write_a_path_are_that_path(repository: Path, tmp_path: Path, written: str) -> None:
    assert "[--outputs]\n[outputs]\n" in make(repository, tmp_path, "sft", f"OUTPUTS={written}").stdout


@pytest.mark.parametrize("path", ["runs/v1.5", "../out", "/tmp/out", "事实", "a,b", "x" * 200])
def test_other_paths_are_taken_as_they_are(repository: Path, tmp_path: Path, path: str) -> None:
    assert f"[--outputs]\n[{path}]\n" in make(repository, tmp_path, "sft", f"OUTPUTS={path}").stdout


def test_a_price_in_dollars_is_not_a_variable_of_make(repository: Path, tmp_path: Path) -> None:
    for target in ("plan", "experiment"):
        assert "[--price]\n[$2.5]\n" in make(repository, tmp_path, target, "PRICE=$2.5").stdout


def test_a_plan_draws_to_the_file_that_is_named_as_it_was_typed(repository: Path, tmp_path: Path) -> None:
    assert "[--figure]\n[what $is seen.svg]\n" in make(repository, tmp_path, "plan", "FIGURE=what $is seen.svg").stdout
    assert "--figure" not in make(repository, tmp_path, "plan").stdout


def test_looking_neither_composes_nor_makes(repository: Path, tmp_path: Path) -> None:
    for target, module in (("ledger", "evals/ledger_view.py"), ("show", "mulfact.experiment.show"),
                           ("plan", "mulfact.experiment.plan")):  # fmt: skip
        result = make(repository, tmp_path, target, "OUTPUTS=outputs/tiny")
        assert module in result.stdout
        assert "prepare" not in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


def test_texts_are_utf8_messages_english_and_modules_those_of_the_checkout(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        f"include {repository}/Makefile\nshown: ; @echo $$PYTHONUTF8 $$LC_ALL $$PYTHONPATH $$HF_HOME\n"
    )
    for home, kept in ((str(tmp_path), ""), ("/proc/nobody", f"{tmp_path}/outputs/.cache/huggingface")):
        environment = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "zh_CN.UTF-8", "PYTHONPATH": "/other"}
        shown = subprocess.run(
            ["make", "shown", "VENV="], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        assert shown.stdout.split() == ["1", "C.UTF-8", f"{tmp_path}:/other", *([kept] if kept else [])]


def test_a_python_that_is_too_old_is_told_before_an_environment_is_made(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "old").write_text(
        "#!/usr/bin/env python3\nimport sys\nsys.version_info = (3, 10, 4)\nexec(sys.argv[2])\n"
    )
    (tmp_path / "old").chmod(0o755)
    for name in ("setup.cfg", "pyproject.toml", "requirements.lock"):
        (tmp_path / name).touch()
    refused = make(repository, tmp_path, "show", "VENV=.venv", "PYTHON=./old")
    assert "error: ./old is Python 3.10 and mulfact needs 3.11 or later: say make PYTHON=python3.12" in refused.stderr
    assert not (tmp_path / ".venv").exists()
