"""Questions asked one after the other within a time: none is lost, and the folder tells at any moment what was found.

    questions = Questions(folder, seconds=840, patience=1, told={"Machine": "..."})
    questions.ask(Step("speed", "How fast?", 170, command=lambda: ["python", "speed.py"]))

README.md and answers.json of the folder are written anew before and after each step, with a log of each beside them.
Whatever ends this process, they hold what was found until then: SIGTERM and Ctrl-C stop the step in progress too, and
after SIGKILL its own processes are stopped by the kernel. The same command goes on with what has no answer yet.
"""

import contextlib
import ctypes
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulfact.errors import UserError
from mulfact.provenance import write_json

ANSWERS = "answers.json"
LEAST_SECONDS = 5  # with less a step is not begun
PATIENCE_AFTER_SIGTERM = 10
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
LOG_LINES = 40
Found = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """A question, the most seconds that it may take, and what answers it.

    That is a function, run in a fork of this process, which yields what it has found so far, or a command line; `read`
    says afterwards what the command has left behind, be it finished or not.
    """

    name: str
    question: str
    seconds: float
    function: Callable[[], Iterator[Found]] | None = None
    command: Callable[[], list[str]] | None = None
    read: Callable[[], Found] = dict


@dataclass
class Questions:
    """The folder, the end of the time, and what was found. `told`: what the head of README.md says, by its name.

    `stamp` goes into each answer. Raises UserError where the folder holds the answers of another machine.
    """

    folder: Path
    seconds: float
    patience: float
    told: dict[str, str]
    identity: Sequence[str] = ()  # those of `told` that are the same where an earlier command is continued
    stamp: Found = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    found: dict[str, Found] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.seconds
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / ANSWERS).is_file():
            before = json.loads((self.folder / ANSWERS).read_text(encoding="utf-8"))
            for name in self.identity:
                if before["told"][name] != self.told[name]:
                    raise UserError(
                        f"{self.folder} holds the answers of another {name.lower()}, {before['told'][name]}: this is "
                        f"{self.told[name]}; give --output_dir another folder"
                    )
            self.found = before["found"]

    @property
    def left(self) -> float:
        """Seconds until everything must have ended."""
        return self.deadline - time.monotonic()

    def plan(self, steps: Iterable[Step]) -> None:
        """Name all steps that there are, for README.md."""
        self.steps = {step.name: step for step in steps}
        self.write()

    def answered(self, name: str) -> bool:
        return self.found.get(name, {}).get("state") == "done"

    def ask(self, step: Step, waits_for: Callable[[float], bool] = lambda seconds: True) -> Found:
        """Return what came of a step within its time: its state, its seconds and its answer; all is written down.

        `waits_for` is given the seconds that there are, and returns whether what the step reads is there.
        """
        seconds = min(step.seconds * self.patience, self.left)
        if seconds < LEAST_SECONDS:
            return self.note(step, {"state": "skipped: no time left"})
        begun = time.monotonic()
        self.note(step, {"state": "begun, and not ended"})
        if not waits_for(seconds):
            return self.note(step, {"state": "skipped: what it reads was not ready"})
        answer = self.folder / f"{step.name}.json"
        answer.unlink(missing_ok=True)
        with (self.folder / f"{step.name}.log").open("wb") as log:
            if step.function is not None:
                process: Command = Fork(step.function, answer, Path(log.name))
            else:
                assert step.command is not None
                process = Command(step.command(), log)
            state = "stopped"
            try:
                status = process.wait(max(seconds - (time.monotonic() - begun), 0))
                state = "done" if status == 0 else "out of time" if status is None else f"failed with status {status}"
            finally:  # also when this process is told to end
                process.stop()
                found = read_json(answer) | step.read()
                answer.unlink(missing_ok=True)
                seconds = round(time.monotonic() - begun, 1)
                self.note(step, {"state": state, "seconds": seconds, **self.stamp, **found})
        return self.found[step.name]

    def note(self, step: Step, found: Found) -> Found:
        self.found[step.name] = found
        self.write()
        return found

    def write(self) -> None:
        """Write answers.json and README.md, each in one rename."""
        write_json(self.folder / ANSWERS, {"told": self.told, "found": self.found})
        partial = self.folder / ".README.md"
        partial.write_text("\n".join(self.report()) + "\n", encoding="utf-8")
        partial.replace(self.folder / "README.md")

    def report(self) -> Iterator[str]:
        """Yield the lines of README.md: the head, a table of all steps, the end of each log."""
        title, *head = self.told.items()
        yield from (f"# {title[1]}", "", *(f"- {name}: {text}" for name, text in head), "")
        yield from ("| step | question | state | seconds | found |", "|---|---|---|--:|---|")
        for step in self.steps.values():
            found = {"state": "not asked"} | self.found.get(step.name, {})
            plain = {name: value for name, value in found.items() if not isinstance(value, list | dict)}
            state, seconds = plain.pop("state"), plain.pop("seconds", "")
            told = ", ".join(f"{name.replace('_', ' ')} {show(value)}" for name, value in plain.items())
            yield f"| {step.name} | {step.question} | {state} | {seconds} | {told} |"
        for name in self.steps:
            log = self.folder / f"{name}.log"
            if name in self.found and log.is_file():
                yield from ("", f"## {name}", "", "```", *tail(log), "```")


class Command:
    """A command line in a session of its own, so that all its processes can be stopped together."""

    def __init__(self, words: list[str], log: Any) -> None:
        log.write(f"{' '.join(words)}\n".encode())
        log.flush()
        self.process = subprocess.Popen(
            words, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent
        )
        self.pid = self.process.pid

    def wait(self, seconds: float) -> int | None:
        """Return the exit status, None when it has not ended in so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def stop(self) -> None:
        """End what still runs: asked first, so that what it does is saved."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.wait(0) is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            self.wait(PATIENCE_AFTER_SIGTERM)


class Fork(Command):
    """A function in a fork of this process: what it prints goes to its log, what it yields to a file beside that."""

    def __init__(self, function: Callable[[], Iterator[Found]], answer: Path, log: Path) -> None:
        self.fork = multiprocessing.get_context("fork").Process(target=in_fork, args=(function, answer, log))
        self.fork.start()
        self.pid = self.fork.pid or 0

    def wait(self, seconds: float) -> int | None:
        self.fork.join(seconds)
        return self.fork.exitcode


def in_fork(function: Callable[[], Iterator[Found]], answer: Path, log: Path) -> None:
    os.setsid()
    die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with log.open("w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        try:
            for found in function():
                write_json(answer, found)
        except Exception:
            traceback.print_exc()
            sys.exit(1)


def die_with_parent() -> None:
    """Let the kernel end this process when the one that started it is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


def stop_on_sigterm() -> None:
    """Let SIGTERM end this process as an exception does, so that what is open is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def read_json(path: Path) -> Found:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tail(log: Path) -> Sequence[str]:
    """Return the end of a log without the bars that were drawn over each other."""
    text = log.read_bytes().decode(errors="replace")
    return [line.rpartition("\r")[2].rstrip() for line in text.split("\n") if line.strip()][-LOG_LINES:]
