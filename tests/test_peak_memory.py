"""The greatest memory of a command: what it allocates is seen, its children's too, and its exit status is passed on."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTE = 1_000_000
ALLOCATE = "import sys; block = bytearray(int(sys.argv[1]) * 1_000_000); block[::4096] = b'x' * len(block[::4096])"


def watch(record: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mulfact.modeling.peak_memory", "--record", str(record), "--", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def test_it_sees_what_a_child_of_the_command_allocates(tmp_path: Path) -> None:
    record = tmp_path / "peak_memory.json"
    parent = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)"
    result = watch(record, sys.executable, "-c", parent, ALLOCATE, "300", PATH="")
    assert result.returncode == 0, result.stderr
    measured = json.loads(record.read_text())
    assert 300 * MEGABYTE < measured["host_bytes"] < 400 * MEGABYTE
    assert measured["device_bytes"] is None


def test_a_record_of_a_run_that_was_cut_off_is_only_raised(tmp_path: Path) -> None:
    record = tmp_path / "peak_memory.json"
    record.write_text(json.dumps({"host_bytes": 10**12, "device_bytes": 7}))
    assert watch(record, sys.executable, "-c", "pass").returncode == 0
    assert json.loads(record.read_text()) == {"host_bytes": 10**12, "device_bytes": 7}


def test_the_memory_on_a_gpu_is_what_the_driver_says_of_the_command(tmp_path: Path) -> None:
    """A driver in its place: it reports 4,000 MiB for every process that runs here, 9,000 for a stranger."""
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\nps -e -o pid= | sed 's/ //g; s/$/, 4000/'; echo 999999999, 9000\n")
    driver.chmod(0o755)
    record = tmp_path / "peak_memory.json"
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    assert watch(record, sys.executable, "-c", "import time; time.sleep(4)", PATH=path).returncode == 0
    assert json.loads(record.read_text())["device_bytes"] == 4000 * 2**20


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_the_exit_status_is_the_commands(tmp_path: Path, code: str, status: int) -> None:
    assert watch(tmp_path / "peak_memory.json", sys.executable, "-c", code).returncode == status


def test_a_command_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    result = watch(tmp_path / "peak_memory.json", "trl-that-is-not-there", "sft")
    assert result.returncode == 1
    assert result.stderr.startswith("error: trl-that-is-not-there is not installed")
