"""Who works in a folder: one experiment, one training, one stage at a time, by a lock that its processes hold.

    with experiment_lock(Path("outputs/smoke")) as lock:
        subprocess.Popen(["make", ...], stdin=lock)

A process keeps a lock for as long as it has the file open, and what it starts gets it as its standard input: a trainer
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

PATIENCE = 10.0  # seconds to leave for somebody who was told to stop a moment ago


@contextmanager
def experiment_lock(folder: Path) -> Iterator[IO[bytes]]:
    """Hold the lock of a folder of outputs, where two experiments would write each other's recipes and stages.

    Yields its file, which stays in the folder. Raises UserError when another process has it and keeps it.
    """
    told = "wait for it or stop it, or give this one a folder of its own with OUTPUTS="
    with hold(folder / ".experiment.lock", f"{folder}: another make experiment works there", told) as file:
        yield file


@contextmanager
def training_lock(training_dir: Path) -> Iterator[IO[bytes]]:
    """Hold the lock of the folder of a training, and yield its file, which lies beside the folder and stays there.

    Raises UserError when another process has it and keeps it.
    """
    path = training_dir.with_name(f".{training_dir.name}.lock")
    told = "wait for it or stop it, then run the same command again"
    with hold(path, f"{training_dir}: another process trains there", told) as file:
        yield file


def stage_lock(recipe: Path) -> IO[bytes]:
    """Take the lock of the stage of a flat recipe, and return its file.

    Waits for another process that has it, and says so. A program that takes this one's place (`os.exec`) keeps the
    lock until it ends.
    """
    path = recipe.with_name(f".{recipe.stem}.lock")
    file = path.open("a+b")
    os.set_inheritable(file.fileno(), True)
    if not taken(file):
        print(f"{recipe}: another command is making it ({name_holders(path)}); waiting until it ends", flush=True)
        fcntl.flock(file, fcntl.LOCK_EX)
    return file


@contextmanager
def hold(path: Path, found: str, told: str) -> Iterator[IO[bytes]]:
    """Hold a lock and yield its file. Raises UserError that says who else does (`found`) and what to do (`told`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        deadline = time.monotonic() + PATIENCE
        while not taken(file):
            if time.monotonic() > deadline:
                raise UserError(f"{found} ({name_holders(path)}): {told}")
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
