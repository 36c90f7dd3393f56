"""Every command answers --help, and tells a mistake in its settings, before it imports what takes seconds to import."""

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
ROOMS = ("data_builders", "tokenizers", "modeling", "evals", "release", "mulfact/experiment")
# What takes a second or more by itself. `trl` alone is its parser of settings; its trainers bring torch along.
HEAVY = ("torch", "transformers", "trl.trainer", "lighteval", "accelerate", "datasets", "pandas", "scipy", "matplotlib")
# In a process of its own for each command, forked from one that has imported what most of them share, nothing of ours.
ASK = """
import contextlib, io, json, os, runpy, sys
import huggingface_hub, jinja2, omegaconf, pyarrow.parquet, rich.console, tokenizers, trl
from huggingface_hub import HfApi
from trl import TrlParser
commands, heavy = json.loads(sys.argv[1])
for command in commands:
    sys.stdout.flush()
    if os.fork():
        os.wait()
        continue
    said = io.StringIO()
    sys.argv = [command, "--help"]
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(command, run_name="__main__")
    found = [name for name in heavy if name in sys.modules]
    print(json.dumps([command, "usage:" in said.getvalue(), found]), flush=True)
    os._exit(0)
"""


def commands() -> list[str]:
    paths = [path for room in ROOMS for path in sorted((REPOSITORY / room).glob("*.py"))]
    return [path.relative_to(REPOSITORY).as_posix() for path in paths if '"__main__"' in path.read_text()]


def test_help_does_not_wait_for_heavy_packages() -> None:
    asked = [sys.executable, "-c", ASK, json.dumps([commands(), HEAVY])]
    result = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    answers = {name: (helped, heavy) for name, helped, heavy in map(json.loads, result.stdout.splitlines())}
    assert len(answers) == len(commands()) > 25
    assert {name: answer for name, answer in answers.items() if answer != (True, [])} == {}
