"""One experiment at a time in a folder of outputs: two of them would write each other's recipes and stages.

    with experiment_lock(Path("outputs/smoke")) as lock:
        subprocess.Popen(["make", ...], stdin=lock)

What is started with the lock as its standard input holds it too: an experiment whose driver was killed goes on until
its stages end, and nothing else may start there before.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mulfact.errors import UserError
from mulfact.modeling.training_lock import PATIENCE, name_holders, taken

LOCK = ".experiment.lock"


@contextmanager
def experiment_lock(folder: Path) -> Iterator[IO[bytes]]:
    """Hold the lock of `folder` and yield its file, which stays there.

    Raises UserError when another process has it and keeps it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+b") as file:
        deadline = time.monotonic() + PATIENCE
        while not taken(file):
            if time.monotonic() > deadline:
                raise UserError(
                    f"{folder}: another make experiment works there ({name_holders(folder / LOCK)}): wait for it or "
                    "stop it, or give this one a folder of its own with OUTPUTS="
                )
            time.sleep(0.1)
        yield file
