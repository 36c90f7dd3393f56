"""A trainer under watch: alone in its folder, stopped with all that it started, its exit status and its time kept.

The command in these tests is a launcher that starts a trainer, as `trl` does, and passes no signal on.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from mulfact.errors import UserError
from mulfact.experiment.grid import stop
from mulfact.locks import training_lock
from mulfact.modeling.posttraining.peak_memory import PeakMemory
from mulfact.modeling.supervise import TIME, is_alive, read_seconds

TRAINER = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {TRAINER}"
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', *sys.argv[1:]]).returncode)"


class Watched:
    """The command under watch, its launcher and its trainer; `before` are the words of what starts the watcher."""

    def __init__(self, folder: Path, *before: str, trainer: str = TRAINER) -> None:
        pid_file = folder.with_suffix(".pid")
        words = [sys.executable, "-c", LAUNCHER, trainer, str(pid_file)]
        self.process = subprocess.Popen([*before, *supervise(folder, *words)], start_new_session=True)
        wait_for(lambda: pid_file.is_file() and pid_file.read_text() != "")
        self.trainer = psutil.Process(int(pid_file.read_text()))
        self.launcher, self.watcher = self.trainer.parents()[:2]

    def has_ended(self) -> bool:
        return not any(map(is_alive, (self.trainer, self.launcher, self.watcher)))


def supervise(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "mulfact.modeling.supervise", "--folder", str(folder), "--", *words]


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught, training_lock(folder):
        pass
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A training folder; a trainer that a failed test has left there is killed."""
    folder = tmp_path / "sft_training"
    folder.mkdir()
    yield folder
    pid_file = folder.with_suffix(".pid")
    if pid_file.is_file():
        with suppress(psutil.NoSuchProcess):
            psutil.Process(int(pid_file.read_text())).kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_watcher_alone_stops_the_trainer(folder: Path, number: signal.Signals) -> None:
    watched = Watched(folder)
    os.kill(watched.watcher.pid, number)
    told = signal.SIGTERM if number == signal.SIGHUP else number  # a terminal that goes away
    assert watched.process.wait(timeout=20) == 128 + told
    assert watched.has_ended()
    assert json.loads((folder / "training_time.json").read_text())["seconds"] > 0


def test_control_c_reaches_everything_and_is_told_by_the_status(folder: Path) -> None:
    watched = Watched(folder)
    os.killpg(watched.process.pid, signal.SIGINT)  # as a terminal does
    assert watched.process.wait(timeout=20) == 128 + signal.SIGINT
    assert watched.has_ended()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_end_of_the_shell_of_make_stops_the_trainer(folder: Path, number: signal.Signals) -> None:
    watched = Watched(folder, "sh", "-c", '"$@"; exit $?', "shell")
    assert watched.process.pid != watched.watcher.pid
    watched.process.send_signal(number)
    watched.process.wait()
    wait_for(watched.has_ended)


def test_a_watcher_that_is_killed_leaves_no_trainer(folder: Path) -> None:
    watched = Watched(folder)
    watched.watcher.kill()
    wait_for(watched.has_ended)


def test_a_launcher_that_dies_alone_leaves_no_trainer(folder: Path) -> None:
    watched = Watched(folder)
    wait_for((folder / "training_time.json").is_file)  # the watcher has looked around
    watched.launcher.terminate()
    assert watched.process.wait(timeout=20) == 128 + signal.SIGTERM
    assert watched.has_ended()


def test_the_grid_stops_it(folder: Path) -> None:
    watched = Watched(folder, "sh", "-c", '"$@"; exit $?', "shell")
    stop(watched.process)
    assert watched.has_ended()


def test_a_second_training_is_refused_as_long_as_a_process_of_the_first_lives(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(folder, trainer=STUBBORN)
    monkeypatch.setattr("mulfact.locks.PATIENCE", 0.0)
    assert f"{folder}: another process trains there" in refusal(folder)
    watched.watcher.kill()
    wait_for(lambda: not is_alive(watched.launcher))
    assert f"trains there (process {watched.trainer.pid}): wait for it or stop it" in refusal(folder)
    watched.trainer.kill()
    wait_for(lambda: not is_alive(watched.trainer))
    with training_lock(folder):
        pass


def test_a_training_that_is_just_leaving_is_waited_for(folder: Path) -> None:
    watched = Watched(folder)
    watched.watcher.terminate()
    with training_lock(folder):
        assert not is_alive(watched.trainer)


def test_a_file_system_without_locks_stops_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("mulfact.locks.fcntl.flock", unsupported)
    with training_lock(folder):
        pass


def test_the_seconds_of_all_sessions_are_added_up(folder: Path) -> None:
    (folder / "training_time.json").write_text('{"seconds": 100.0}')
    assert subprocess.run(supervise(folder, sys.executable, "-c", "pass"), check=False).returncode == 0
    assert 100 < json.loads((folder / "training_time.json").read_text())["seconds"] < 110


@pytest.mark.parametrize(("code", "status"), [("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_the_exit_status_is_the_commands(folder: Path, code: str, status: int) -> None:
    assert subprocess.run(supervise(folder, sys.executable, "-c", code), check=False).returncode == status


def test_a_command_that_is_not_there_is_told_in_a_line(folder: Path) -> None:
    command = supervise(folder, "trl-that-is-not-there", "sft")
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: trl-that-is-not-there is not installed")


def test_an_emptied_record_of_the_time_stops_nothing(folder: Path) -> None:
    for text in ("", "{", "{}", "[]"):
        (folder / TIME).write_text(text)
        assert read_seconds(folder) is None
        (folder / "peak_memory.json").write_text(text)
        assert PeakMemory(folder / "peak_memory.json").bytes == {"host_bytes": 0, "device_bytes": 0}
