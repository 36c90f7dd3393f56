"""The greatest memory that one process of a command took, as a record beside what the command writes.

TRL's commands do not record it. `host_bytes` is the largest resident set, and `device_bytes` the most that NVIDIA's
driver reported for one process, or null where no GPU was used or the driver does not show the processes, as in some
containers. A record that is there already, of a run that was cut off, is only ever raised.
"""

import json
import shutil
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from mulfact.provenance import write_json

RECORD = "peak_memory.json"
QUERY = ("nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits")


class PeakMemory:
    """The record in the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes = {"host_bytes": 0, "device_bytes": 0}
        with suppress(OSError, ValueError, TypeError):  # not there yet, or emptied by a crash of the machine
            self.raise_to(**json.loads(path.read_text(encoding="utf-8")))

    def raise_to(self, **measured: int | None) -> None:
        self.bytes = {name: max(value, measured.get(name) or 0) for name, value in self.bytes.items()}

    def sample(self, processes: Iterable[psutil.Process]) -> None:
        """Look at what each of the processes has now."""
        resident = [0]
        for process in processes:
            with suppress(psutil.Error):
                resident.append(process.memory_info().rss)
        self.raise_to(host_bytes=max(resident), device_bytes=device_memory({process.pid for process in processes}))

    def save(self) -> None:
        write_json(self.path, {name: value or None for name, value in self.bytes.items()})


def device_memory(pids: set[int]) -> int:
    """Return the GPU memory in bytes of that process which has most; 0 when nothing is seen."""
    if shutil.which(QUERY[0]) is None:
        return 0
    listed = subprocess.run(QUERY, capture_output=True, text=True, check=False)
    used = dict(line.split(", ", 1) for line in listed.stdout.splitlines() if ", " in line)
    return max((int(used[str(pid)]) << 20 for pid in pids if used.get(str(pid), "").isdigit()), default=0)
