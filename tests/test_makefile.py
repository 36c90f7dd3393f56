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


def test_clean_removes_one_scale(repository: Path, tmp_path: Path) -> None:
    for scale in ("smoke", "pilot"):
        (tmp_path / "outputs" / scale).mkdir(parents=True)
    assert make(repository, tmp_path, "clean").returncode == 0
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["pilot"]


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
    assert '[outputs="2026"]\n[posttrain.gsm8k="1e3"]\n' in shown.stdout
