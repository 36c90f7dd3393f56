"""Which code runs and which commit is recorded, where checkouts are copied or lie inside of others."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GROUND = ("__init__.py", "errors.py", "provenance.py")


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """Another checkout, as much of it as the ground of mulfact."""
    root = tmp_path / "outer" / "copy"
    for name in GROUND:
        (root / "mulfact").mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / "mulfact" / name, root / "mulfact" / name)
    return root


def python(code: Path | str, path: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    words = [str(code)] if isinstance(code, Path) else ["-c", code]
    environment = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.invalid"]
    return subprocess.check_output(["git", *identity, *words], cwd=folder, text=True).strip()


def recorded(copy: Path) -> dict[str, object]:
    code = "import json; from mulfact.provenance import git_state; print(json.dumps(git_state()))"
    return json.loads(python(code, copy, copy).stdout)


def test_the_commit_is_that_of_the_checkout_and_of_no_repository_around_it(copy: Path) -> None:
    assert recorded(copy) == {"commit": None, "dirty": None}
    git(copy.parent, "init", "--quiet")
    git(copy.parent, "commit", "--quiet", "--allow-empty", "--message", "of another project")
    assert recorded(copy) == {"commit": None, "dirty": None}
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    git(copy, "commit", "--quiet", "--message", "ours")
    assert recorded(copy) == {"commit": git(copy, "rev-parse", "HEAD"), "dirty": False}
    (copy / "mulfact/errors.py").write_text((copy / "mulfact/errors.py").read_text() + "# changed\n")
    assert recorded(copy)["dirty"] is True


def test_a_checkout_does_not_run_the_modules_of_another(repository: Path, copy: Path) -> None:
    script = copy / "modeling" / "stage.py"
    script.parent.mkdir()
    script.write_text(
        "import mulfact\nfrom mulfact.errors import command\n\n\n"
        "@command\ndef main():\n    print(mulfact.__file__)\n\n\nmain()\n"
    )
    refused = python(script, repository, copy)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {script} would run the modules in {repository}")
    assert python(script, copy, copy).stdout == f"{copy}/mulfact/__init__.py\n"
