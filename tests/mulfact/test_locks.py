"""The lock of a stage: a second command waits for the first, and says so."""

import subprocess
import sys
from pathlib import Path

from mulfact.locks import stage_lock, taken

HOLDER = """
import os, sys
from pathlib import Path
from mulfact.locks import stage_lock
lock = stage_lock(Path(sys.argv[1]))
print("taken", flush=True)
os.execvp("sh", ["sh", "-c", "read line"])
"""


def start(recipe: Path) -> subprocess.Popen[str]:
    """Start a process that takes the lock and gives its place to a shell, which ends when it reads a line."""
    words = [sys.executable, "-c", HOLDER, str(recipe)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_command_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    recipe = tmp_path / "corpus.yaml"
    first = start(recipe)
    assert first.stdout is not None
    assert first.stdout.readline() == "taken\n"
    second = start(recipe)
    assert second.stdout is not None
    told = f"{recipe}: another command is making it (process {first.pid}); waiting until it ends\n"
    assert second.stdout.readline() == told
    first.communicate("end\n", timeout=60)
    assert second.stdout.readline() == "taken\n"
    second.communicate("end\n", timeout=60)


def test_stages_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with stage_lock(tmp_path / "corpus.yaml") as corpus, stage_lock(tmp_path / "posttrain.yaml") as posttrain:
        assert taken(corpus)
        assert taken(posttrain)
