"""A checkout in which stand-ins take the places of the stages: the real Makefile, grid and records, and no training."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


class Workshop:
    """A folder with the Makefile and the recipes, and tests/stand_ins.py in front of the path."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository, self.folder, self.bin = repository, folder, folder / "bin"
        self.bin.mkdir()
        for name in ("Makefile", "setup.cfg", "pyproject.toml"):
            shutil.copy2(repository / name, folder / name)
        shutil.copytree(repository / "recipes", folder / "recipes")
        (folder / "docs").symlink_to(repository / "docs")
        stand_in = f'exec {sys.executable} {repository / "tests/stand_ins.py"} "$@"\n'
        for name in ("accelerate", "trl"):
            self.write(name, stand_in)
        # Our own modules and the gate run as they are.
        self.write(
            "python",
            f'if [ "$1" = -m ]; then exec {sys.executable} "$@"; fi\n'
            f'if [ "$1" = modeling/gate.py ]; then shift; exec {sys.executable} -m mulfact.modeling.gate "$@"; fi\n'
            f"{stand_in}",
        )

    def write(self, name: str, script: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{script}")
        (self.bin / name).chmod(0o755)

    @property
    def outputs(self) -> Path:
        return self.folder / "outputs/smoke"

    def environment(self, **variables: str) -> dict[str, str]:
        plain = {name: text for name, text in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        paths = {"PATH": f"{self.bin}:{os.environ['PATH']}", "PYTHONPATH": str(self.repository)}
        return plain | paths | variables

    def command(self, *settings: str, target: str = "experiment") -> list[str]:
        return ["make", target, "VENV=", *settings]

    def make(self, *settings: str, target: str = "experiment", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*settings, target=target),
            cwd=self.folder,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            check=False,
        )
