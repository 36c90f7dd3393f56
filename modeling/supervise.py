"""Run a trainer's command in its folder: alone there, stopped as a whole, its time and its memory on record.

    python modeling/supervise.py --folder outputs/smoke/mulfact/seed-0/sft_training -- \
        trl sft --config outputs/smoke/mulfact/seed-0/recipes/sft.yaml

`trl` starts a launcher, and that the trainer, and neither passes a signal on; `accelerate launch` leaves before its
process has saved. Here SIGTERM and SIGINT stop every process of the command, which is waited for, and the status is
then 143 or 130 whatever the launcher makes of it. So does the end of the process that started this one: a make that is
told to stop ends its shell and nothing more. Where this process itself is killed, what it leaves behind asks them.
As long as a process of the training lives, a second one in the folder is refused.

Two records in the folder are written every two seconds, so that a kill costs no more of them: peak_memory.json, and
training_time.json with the seconds of this training over all its sessions, from the start of the command to its end.
Starting up and saving count, and so do steps that a kill took back; the time between two sessions does not.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

from mulfact.errors import UserError, command
from mulfact.locks import training_lock
from mulfact.modeling.posttraining.peak_memory import RECORD, PeakMemory
from mulfact.provenance import write_json

TIME = "training_time.json"
SECONDS = 2.0


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Run a trainer's command alone in its folder and watch over it.")
    parser.add_argument("--folder", type=Path, required=True, help="where it trains; trl_stage.py prepare makes it")
    parser.add_argument("command", nargs="+", help="after --")
    arguments = parser.parse_args()
    sys.exit(run(arguments.command, arguments.folder))


def run(words: list[str], folder: Path) -> int:
    """Run the command and return its exit status, or 128 and the number of the signal that stopped it.

    Raises UserError for a command that does not exist, and when another process trains in the folder.
    """
    with training_lock(folder) as lock:
        session = Session(folder)
        try:
            # In a session of its own: a Ctrl-C reaches this process alone, which asks the others to save and stop.
            process = subprocess.Popen(words, stdin=lock, start_new_session=True)
        except FileNotFoundError as error:
            raise UserError(f"{words[0]} is not installed: `make` in a clone installs everything into .venv") from error
        guard = start_guard(process.pid)
        session.start()
        _, status, usage = os.wait4(process.pid, 0)  # of the command and of what it waited for
        guard.communicate(b"\n")
        code = os.waitstatus_to_exitcode(status)
        session.end(code, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
    if code and session.told:
        return 128 + session.told
    return 128 - code if code < 0 else code


def start_guard(group: int) -> subprocess.Popen[bytes]:
    """Start the process that asks a process group to stop where this process ends without a word, as by SIGKILL."""
    words = ["/bin/sh", "-c", f"read -r _ || kill -s TERM -- -{group}"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True)


class Session(threading.Thread):
    """One session of a training: looks after the processes that this one has started, until their command ends."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.parent, self.begun, self.ended = os.getppid(), time.monotonic(), threading.Event()
        self.told: int | None = None  # the signal that asked to stop
        self.seen: set[psutil.Process] = set()
        self.memory = PeakMemory(folder / RECORD)
        self.time = folder / TIME
        self.earlier = read_seconds(folder) or 0.0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):  # SIGUSR1 comes from SLURM
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self.ask)

    def ask(self, number: int, frame: FrameType | None) -> None:
        self.told = signal.SIGINT if number == signal.SIGINT else signal.SIGTERM
        self.stop()

    def run(self) -> None:
        while not self.ended.wait(SECONDS):
            self.memory.sample(self.find())
            with suppress(OSError):  # of a full disk the trainer tells
                self.save()
            if os.getppid() != self.parent:
                self.told = signal.SIGTERM
            if self.told:  # also what had not been started yet when the signal came
                self.stop()

    def end(self, code: int, largest: int) -> None:
        """After a failure, stop what the command has left behind, and wait for it; save the records."""
        self.ended.set()
        self.join()
        if code:
            self.stop()
            while any(is_alive(process) for process in self.seen):
                time.sleep(0.05)
        self.memory.raise_to(host_bytes=largest)
        self.save()

    def find(self) -> set[psutil.Process]:
        """Return all processes of the command, also those whose parent is gone: they are nobody's children any more."""
        known = {process for process in self.seen if is_alive(process)}
        self.seen = known | set(psutil.Process().children(recursive=True))
        return self.seen

    def stop(self) -> None:
        """Ask every process of the command to stop. Pretraining saves then; TRL has nothing to save."""
        for process in self.find():
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def save(self) -> None:
        """Write the records; pretraining has none to write, for it removes its folder when it is published."""
        if not self.time.parent.is_dir():
            return
        self.memory.save()
        write_json(self.time, {"seconds": round(self.earlier + time.monotonic() - self.begun, 3)})


def is_alive(process: psutil.Process) -> bool:
    """Return whether a process still does something: one that has ended may wait in vain to be collected."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def read_seconds(folder: Path) -> float | None:
    """Return the seconds of a training over all its sessions, None when it was never watched or its record is empty."""
    try:
        return float(json.loads((folder / TIME).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):  # a crash of the machine may empty it
        return None


if __name__ == "__main__":
    main()
