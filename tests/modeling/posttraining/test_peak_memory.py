"""The greatest memory of a command: what it allocates is seen, and its children's too."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

MEGABYTE = 1_000_000
ALLOCATE = "import sys; block = bytearray(int(sys.argv[1]) * 1_000_000); block[::4096] = b'x' * len(block[::4096])"


def watch(record: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mulfact.modeling.supervise", "--folder", str(record.parent), "--", *words]
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


def test_a_kill_of_everything_leaves_what_was_seen_so_far(tmp_path: Path) -> None:
    words = [sys.executable, "-c", f"{ALLOCATE}; import time; time.sleep(60)", "300"]
    command = [sys.executable, "-m", "mulfact.modeling.supervise", "--folder", str(tmp_path), "--", *words]
    process = subprocess.Popen(command, start_new_session=True)
    record = tmp_path / "peak_memory.json"
    deadline = time.monotonic() + 20
    while not record.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, 9)
    process.wait()
    assert json.loads(record.read_text())["host_bytes"] > 300 * MEGABYTE
    assert json.loads((tmp_path / "training_time.json").read_text())["seconds"] > 1
