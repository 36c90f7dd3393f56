"""The real Makefile in a folder of its own, with stubs that write what a stage writes in place of its commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# Stands for a stage's command: takes SLOW seconds, fails for the recipes that FAIL names, else writes the product. The
# runs that GATED names have SFT checkpoints that find no answer.
STUB = """#!{python}
import json, os, pathlib, sys, time
recipes = [pathlib.Path(word) for word in sys.argv if word.endswith(".yaml") and "/recipes/" in word]
if "posttrain.py" in " ".join(sys.argv) and "prepare" in sys.argv:
    sys.exit()
print("seen by", *sys.argv[1:3], *os.environ.get("WHO", "").split(), flush=True)
time.sleep(float(os.environ.get("SLOW", 0)))
if any(str(recipe).endswith(name) for recipe in recipes for name in os.environ.get("FAIL", "-").split()):
    sys.exit("error: out of luck")
for recipe in recipes:
    level, stage = recipe.parent.parent, recipe.stem.replace("compare", "report")
    product = level / (stage + "_final" if stage in ("pretrain", "sft", "grpo") else stage) / "provenance.json"
    product = level / "ledger.json" if stage == "ledger" else product
    product.parent.mkdir(exist_ok=True)
    if stage == "readiness":
        ready = not any(level.match(name) for name in os.environ.get("GATED", "-").split())
        record = {{"prompts": 64, "samples": 8, "pass_at_1": 0.01, "pass_at_k": 0.5 if ready else 0.05,
                  "mixed_groups": 0.3 if ready else 0.05, "threshold": 0.1, "force": False, "ready": ready}}
        (product.parent / "readiness.json").write_text(json.dumps(record))
    partial = product.with_name("partial")
    partial.write_text(json.dumps({{"seconds": 3.0, "stage": stage}}))
    partial.rename(product)  # whole when it appears, like a stage's
"""


class Workshop:
    """A copy of the Makefile's surroundings with stubs in front of the path."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        self.bin.mkdir()
        for name in ("Makefile", "setup.cfg", "pyproject.toml"):
            shutil.copy2(repository / name, folder / name)
        for name in ("recipes", "docs"):
            (folder / name).symlink_to(repository / name)
        stub = STUB.format(python=sys.executable)
        for name in ("accelerate", "trl", "stub"):
            (self.bin / name).write_text(stub)
            (self.bin / name).chmod(0o755)
        # Our own modules and the gate run as they are, stages by the stub.
        python = (
            f'#!/bin/sh\nif [ "$1" = -m ]; then exec {sys.executable} "$@"; fi\n'
            f'if [ "$1" = modeling/gate.py ]; then shift; exec {sys.executable} -m mulfact.modeling.gate "$@"; fi\n'
            f'exec {self.bin}/stub "$@"\n'
        )
        (self.bin / "python").write_text(python)
        (self.bin / "python").chmod(0o755)

    def environment(self, **variables: str) -> dict[str, str]:
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}", **variables}

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
