"""`make push`, `pull` and `stranger`: the commands that the settings of make turn into."""

import subprocess
from pathlib import Path

import pytest


def dry_run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "--dry-run", "VENV=", *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (
            ["push", "ORG=me"],
            "python release/push.py --org me --shared_dir outputs/smoke --conditions baseline mulfact --seeds 0",
        ),
        (
            ["push", "ORG=me", "SCALE=pilot", "CONDITION=placebo", "SEED=2", "PUBLIC=1"],
            "python release/push.py --org me --shared_dir outputs/pilot --conditions placebo --seeds 2 --public",
        ),
        (
            ["pull", "ORG=me", "CONDITIONS=a b", "SEEDS=0 1", "OUTPUTS=/mnt/out", "REVISION=protocol-0123"],
            "python release/pull.py --org me --scale smoke --conditions a b --seeds 0 1 --output_dir /mnt/out/pulled "
            "--revision protocol-0123",
        ),
        (
            [
                "jobs",
                "ORG=me",
                "SCALE=pilot",
                "FLAVOR=h200x8",
                "CONTROLS=baseline_more baseline_less",
                "PROCESSES=8",
                "LIVE=",
            ],
            "--settings JOBS=2 'CONTROLS=baseline_more baseline_less' PROCESSES=8 LIVE=",
        ),
        (["jobs", "ORG=me", "FLAVOR=h200", "OVERRIDES=a.b='x y' c=$2.5"], '--settings JOBS=2 "OVERRIDES=$OVERRIDES"'),
        (["jobs", "ORG=me", "FLAVOR=h200", "GO=1"], "--org me --settings JOBS=2 --go"),
        (["stranger", "MODEL=me/model"], "outputs/stranger/bin/python -I release/stranger.py me/model"),
    ],
)
def test_settings_become_a_plain_command(repository: Path, arguments: list[str], command: str) -> None:
    result = dry_run(repository, *arguments)
    assert result.returncode == 0, result.stderr
    assert command in " ".join(result.stdout.replace("\\\n", " ").split())


@pytest.mark.parametrize(("target", "message"), [("push", "say who: make ORG="), ("stranger", "make stranger MODEL=")])
def test_a_missing_name_is_asked_for(repository: Path, target: str, message: str) -> None:
    result = dry_run(repository, target)
    assert result.returncode != 0
    assert message in result.stderr


def test_the_stranger_gets_the_versions_that_are_pinned(repository: Path) -> None:
    pins = [line.strip() for line in (repository / "setup.cfg").read_text().splitlines()]
    printed = dry_run(repository, "stranger", "MODEL=me/model").stdout
    for package in ("torch", "transformers"):
        (pin,) = [line for line in pins if line.startswith(f"{package}==")]
        assert pin in printed
