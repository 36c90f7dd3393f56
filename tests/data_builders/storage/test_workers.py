"""One worker and two give the same results, and the same error at the same place."""

import os
import signal
from collections.abc import Iterator

import pytest

from mulfact.data_builders.storage.workers import Workers
from mulfact.errors import UserError


def square(number: int) -> int:
    if number == 13:
        raise UserError("13 is refused")
    return number * number


def process_of(_: int) -> int:
    return os.getpid()


def kill_worker(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def broken_tasks() -> Iterator[int]:
    yield from range(5)
    raise UserError("the source failed")


@pytest.mark.parametrize("num_workers", [1, 2])
def test_results_and_errors_keep_their_order(num_workers: int) -> None:
    with Workers(num_workers) as workers:
        assert list(workers.map(square, range(12))) == [n * n for n in range(12)]
        results = []
        with pytest.raises(UserError, match="13 is refused"):
            results.extend(workers.map(square, range(10, 20)))
        for result in workers.map(square, range(3)):
            results.append(result)
        assert results[-3:] == [0, 1, 4]
        # What was read before a source failed is still handed over, however far the workers are ahead.
        results = []
        with pytest.raises(UserError, match="the source failed"):
            for result in workers.map(square, broken_tasks()):
                results.append(result)
        assert results == [0, 1, 4, 9, 16]


def test_two_workers_are_other_processes_and_reads_only_a_little_ahead() -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    with Workers(2) as workers:
        results = workers.map(process_of, tasks())
        assert next(results) != os.getpid()
        assert len(taken) <= 5


def test_a_killed_worker_is_a_clear_error() -> None:
    with Workers(2) as workers, pytest.raises(UserError, match="worker process was killed"):
        list(workers.map(kill_worker, range(3)))


def test_zero_workers_are_refused() -> None:
    with pytest.raises(UserError, match="num_workers is 0"):
        Workers(0)
