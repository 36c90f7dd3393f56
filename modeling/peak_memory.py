"""Run a command as it is, and keep the greatest memory that one process of it took.

    python modeling/peak_memory.py --record outputs/smoke/mulfact/seed-0/sft_training/peak_memory.json -- \
        trl sft --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml

TRL's commands do not record it. The record has `host_bytes`, the largest resident set, and `device_bytes`, the most
that NVIDIA's driver reported for one process (a sample every two seconds), or null where no GPU was used or the driver
does not show the processes, as in some containers. A record that is there already, of a run that was cut off, is only
ever raised.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psutil

from mulfact.errors import UserError, command
from mulfact.provenance import write_json

RECORD = "peak_memory.json"
SECONDS = 2.0
QUERY = ("nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits")


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Run a command and keep the greatest memory that it took.")
    parser.add_argument("--record", type=Path, required=True, help="JSON file; its folder exists")
    parser.add_argument("command", nargs="+", help="after --")
    arguments = parser.parse_args()
    sys.exit(run(arguments.command, arguments.record))


def run(words: list[str], record: Path) -> int:
    """Run the command, write the record, return the exit status. Raises UserError for a command that does not exist."""
    try:
        process = subprocess.Popen(words)
    except FileNotFoundError as error:
        raise UserError(f"{words[0]} is not installed: `make` in a clone installs everything into .venv") from error
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    device = DeviceMemory(process.pid)
    _, status, usage = os.wait4(process.pid, 0)  # of the command and of what it waited for
    measured = {
        "host_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "device_bytes": device.peak(),
    }
    earlier = json.loads(record.read_text()) if record.is_file() else {}
    write_json(record, {name: max(value or 0, earlier.get(name) or 0) or None for name, value in measured.items()})
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class DeviceMemory(threading.Thread):
    """Samples the GPU memory of a process and its descendants until it is asked for the peak."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.ended, self.bytes = pid, threading.Event(), 0
        if shutil.which(QUERY[0]):
            self.start()

    def run(self) -> None:
        while not self.ended.wait(SECONDS):
            self.bytes = max(self.bytes, self.sample())

    def sample(self) -> int:
        try:
            tree = {self.pid, *(child.pid for child in psutil.Process(self.pid).children(recursive=True))}
        except psutil.NoSuchProcess:
            return 0
        listed = subprocess.run(QUERY, capture_output=True, text=True, check=False)
        used = dict(line.split(", ", 1) for line in listed.stdout.splitlines() if ", " in line)
        return max((int(used.get(str(pid), "")) << 20 for pid in tree if used.get(str(pid), "").isdigit()), default=0)

    def peak(self) -> int:
        """Return bytes; 0 when nothing was seen."""
        self.ended.set()
        return self.bytes


if __name__ == "__main__":
    main()
