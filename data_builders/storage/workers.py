"""The same work on one process or on many, with the results in the same order."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from mulfact.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Workers:
    """A pool of processes; with one worker the work is done in this process.

    with Workers(2) as workers:
        for result in workers.map(function, tasks): ...
    """

    def __init__(self, num_workers: int) -> None:
        if num_workers < 1:
            raise UserError(f"num_workers is {num_workers}; expected at least 1")
        self.num_workers = num_workers
        self.pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        if self.num_workers > 1:
            # A forked child of a process with threads (Arrow, tokenizers) may wait for ever for a lock.
            spawn = multiprocessing.get_context("spawn")
            self.pool = ProcessPoolExecutor(self.num_workers, mp_context=spawn, initializer=_end_with_parent)
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Yield function(task) in the order of the tasks, at most two per worker ahead of the consumer.

        Raises UserError when a worker dies.
        """
        if self.pool is None:
            yield from map(function, tasks)
            return
        tasks = iter(tasks)
        ahead: deque[Future[Result]] = deque()
        failure: Exception | None = None
        try:
            while True:
                try:
                    while failure is None and len(ahead) < 2 * self.num_workers:
                        ahead.append(self.pool.submit(function, next(tasks)))
                except (StopIteration, UserError) as error:
                    failure = error  # told when the consumer gets there, as it would be by one worker
                if ahead:
                    yield ahead.popleft().result()
                elif isinstance(failure, UserError):
                    raise failure
                else:
                    return
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, most likely for want of memory: lower num_workers and run the same "
                "command again; it goes on behind the last finished shard"
            ) from error


def _end_with_parent() -> None:
    """Leave interrupts to the parent, and end when it dies, even when it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
