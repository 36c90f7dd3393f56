"""One training at a time in a folder, by a lock that lasts as long as any process of the training.

    with training_lock(Path("outputs/smoke/mulfact/seed-0/sft_training")) as lock:
        subprocess.Popen(["trl", "sft", ...], stdin=lock)

A process keeps the lock for as long as it has the file open, and what it starts gets its standard input: a trainer
whose launcher and watcher were killed still holds the folder.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import psutil

from mulfact.errors import UserError

PATIENCE = 10.0  # seconds for a training to leave that was told to stop a moment ago


@contextmanager
def training_lock(training_dir: Path) -> Iterator[IO[bytes]]:
    """Hold the folder's lock and yield its file, which lies beside the folder and stays there.

    Raises UserError when another process holds it.
    """
    path = training_dir.with_name(f".{training_dir.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        deadline = time.monotonic() + PATIENCE
        while not taken(file):
            if time.monotonic() > deadline:
                raise UserError(
                    f"{training_dir}: another process trains there ({name_holders(path)}): wait for it or stop it, "
                    "then run the same command again"
                )
            time.sleep(0.1)
        yield file


def taken(file: IO[bytes]) -> bool:
    """Take the lock if nobody has it, and return whether this process may go on.

    It may also on a file system that has no locks, as some of clusters are mounted: nothing is guarded there.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            raise
    return True


def name_holders(path: Path) -> str:
    """Return which other processes have the file open, as far as this user can see."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and str(path.resolve()) in {file.path for file in process.open_files()}:
                found.append(str(process.pid))
    return f"process {', '.join(found)}" if found else "none that can be seen from here: on another machine?"
