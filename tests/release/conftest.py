"""One finished experiment in miniature for all release tests, and Hubs that do not hold it yet or do."""

import copy as copying
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from release_commands import Client, push_command
from release_folders import write_release

from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.release.eval_results import TASK, hash_questions


@pytest.fixture(scope="session")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the experiment's scale; who changes it takes a copy."""
    return write_release(tmp_path_factory.mktemp("experiment") / "outputs")


@pytest.fixture
def copy(shared_dir: Path, tmp_path: Path) -> Path:
    return shutil.copytree(shared_dir, tmp_path / "outputs" / "smoke")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Client]:
    """A Hub that is empty."""
    with HubServer() as server:
        yield Client(server, tmp_path)


@pytest.fixture(scope="session")
def pushed_once(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A Hub that holds the experiment, whose two problems count as GSM8K's whole test split there."""
    questions = hash_questions(row["prompt"] for _, row in read_jsonl(shared_dir / "benchmarks" / f"{TASK}.jsonl"))
    code = f"from mulfact.release import eval_results, push; eval_results.QUESTIONS_SHA256 = {questions!r}; push.main()"
    with HubServer() as server:
        Client(server, tmp_path_factory.mktemp("pusher")).succeeds(["-c", code, *push_command(shared_dir)[1:]])
        yield server


@pytest.fixture
def pushed(pushed_once: HubServer, tmp_path: Path) -> Iterator[Client]:
    """The same Hub for one test, which may do with it what it likes."""
    before = copying.deepcopy(pushed_once.store)
    yield Client(pushed_once, tmp_path)
    pushed_once.store = before
    pushed_once.calls.clear()
    pushed_once.faults.clear()
