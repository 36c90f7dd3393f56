"""Questions within a time: steps have theirs, none is lost, and the folder can be committed at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mulfact.benchmarks.timing import steps_in_time
from mulfact.benchmarks.timing.steps_in_time import Found, Questions, Step
from mulfact.errors import UserError

TOLD = {"Title": "A check", "Machine": "an abacus", "Code": "abc"}


@pytest.fixture
def questions(tmp_path: Path) -> Questions:
    return Questions(tmp_path, 60, 1, TOLD, ("Machine",), {"commit": "abc"})


def answers() -> Iterator[Found]:
    print("seen on the way")
    yield {"ratio": 1.0}
    yield {"ratio": 1.25, "rows": [1, 2]}


def fails() -> Iterator[Found]:
    yield {"first": 1}
    raise RuntimeError("no kernel here")


def never_ends() -> Iterator[Found]:
    print("seen before", flush=True)
    yield {"first": 1}
    time.sleep(60)


def test_what_a_step_found_and_printed_is_kept(questions: Questions) -> None:
    questions.plan([step := Step("a", "How fast?", 20, answers), Step("b", "How far?", 20, answers)])
    found = questions.ask(step)
    assert (found["state"], found["ratio"], found["rows"]) == ("done", 1.25, [1, 2])
    assert (questions.folder / "a.log").read_text() == "seen on the way\n"
    readme = (questions.folder / "README.md").read_text()
    assert f"| a | How fast? | done | {found['seconds']} | commit abc, ratio 1.25 |" in readme
    assert "| b | How far? | not asked |  |  |" in readme
    assert "# A check\n\n- Machine: an abacus\n" in readme
    assert "seen on the way" in readme
    assert {path.name for path in questions.folder.iterdir()} == {"README.md", "answers.json", "a.log"}


def test_bars_that_were_drawn_over_each_other_are_left_out(questions: Questions) -> None:
    questions.plan([step := Step("a", "", 20, command=lambda: ["printf", "0%%\\r50%%\\rstep 10\\n"])])
    questions.ask(step)
    readme = (questions.folder / "README.md").read_text()
    assert "\nstep 10\n" in readme
    assert "50%" not in readme.split("```")[-2].replace("printf 0%%\\r50%%", "")


@pytest.mark.parametrize(
    ("function", "seconds", "state"), [(fails, 20, "failed with status 1"), (never_ends, 5, "out of time")]
)
def test_a_step_that_fails_or_never_ends_keeps_what_it_had(
    questions: Questions, function: Callable[[], Iterator[Found]], seconds: float, state: str
) -> None:
    found = questions.ask(Step("a", "", seconds, function))
    assert (found["state"], found["first"]) == (state, 1)
    log = (questions.folder / "a.log").read_text()
    assert ("no kernel here" in log) if function is fails else (log == "seen before\n")


def test_a_command_is_asked_to_stop_and_what_it_left_is_read(questions: Questions) -> None:
    saves = "import signal, sys, time\nsignal.signal(15, lambda *a: (print('saved', flush=True), sys.exit()))\n"
    line = [sys.executable, "-c", f"{saves}print('begun', flush=True)\ntime.sleep(60)"]
    found = questions.ask(Step("d", "", 5, command=lambda: line, read=lambda: {"left": "half"}))
    assert (found["state"], found["left"]) == ("out of time", "half")
    assert (questions.folder / "d.log").read_text().endswith("begun\nsaved\n")


def test_without_time_or_what_it_reads_a_step_is_skipped(questions: Questions) -> None:
    step = Step("a", "", 20, answers)
    assert questions.ask(step, lambda seconds: False)["state"] == "skipped: what it reads was not ready"
    questions.deadline = time.monotonic() + 1
    assert questions.ask(step)["state"] == "skipped: no time left"


def test_the_same_command_goes_on_and_another_machine_is_refused(questions: Questions) -> None:
    questions.ask(Step("a", "", 20, answers))
    again = Questions(questions.folder, 60, 1, TOLD | {"Code": "def"}, ("Machine",), {"commit": "def"})
    assert again.answered("a")
    assert not again.answered("b")
    again.ask(Step("b", "", 20, answers))
    assert [again.found[name]["commit"] for name in "ab"] == ["abc", "def"]
    with pytest.raises(UserError, match="another machine, an abacus: this is a slide rule; give --output_dir another"):
        Questions(questions.folder, 60, 1, TOLD | {"Machine": "a slide rule"}, ("Machine",))


SCRIPT = """
import sys, time
from pathlib import Path
from mulfact.benchmarks.timing.steps_in_time import Questions, Step, stop_on_sigterm

def answers():
    yield {"ratio": 1.25}

def never_ends():
    yield {"first": 1}
    time.sleep(60)

stop_on_sigterm()
questions = Questions(Path(sys.argv[1]), 60, 1, {"Title": "A check"})
steps = [Step("a", "", 20, answers), Step("b", "", 50, never_ends)]
if sys.argv[2] == "command":
    steps[1] = Step("b", "", 50, command=lambda: ["sh", "-c", f"echo $$ > {sys.argv[1]}/pid; sleep 60"])
questions.plan(steps)
for step in steps:
    questions.ask(step)
"""


@pytest.mark.parametrize("kind", ["function", "command"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_whatever_ends_it_the_folder_has_what_was_found(tmp_path: Path, number: int, kind: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path), kind], start_new_session=True, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: (tmp_path / ("pid" if kind == "command" else "b.json")).is_file())
    pid = int((tmp_path / "pid").read_text()) if kind == "command" else None
    os.kill(process.pid, number)
    process.wait(15)
    found: dict[str, Any] = json.loads((tmp_path / "answers.json").read_text())["found"]
    assert (found["a"]["state"], found["a"]["ratio"]) == ("done", 1.25)
    assert found["b"]["state"] == ("begun, and not ended" if number == signal.SIGKILL else "stopped")
    assert f"| b |  | {found['b']['state']} |" in (tmp_path / "README.md").read_text()
    if kind == "function":
        kept = json.loads((tmp_path / "b.json").read_text()) if number == signal.SIGKILL else found["b"]
        assert kept["first"] == 1
    elif pid is not None:
        wait_until(lambda: not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text())


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_killed_step_is_asked_again(tmp_path: Path) -> None:
    questions = Questions(tmp_path, 60, 1, TOLD)
    step = Step("a", "", 20, answers)
    questions.note(step, {"state": "begun, and not ended"})
    assert not Questions(tmp_path, 60, 1, TOLD).answered("a")
    assert steps_in_time.ANSWERS in {path.name for path in tmp_path.iterdir()}
