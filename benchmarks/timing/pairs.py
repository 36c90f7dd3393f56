"""Two ways of doing the same, timed in turn: a machine that slows down slows both, and their ratio stays.

pair = time_pairs(ours, reference, repeats=12, clock=time.perf_counter)
print(pair.ratio, pair.least, pair.most)     # times as fast as the reference
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Seconds of a call of each, medians, and how many times as fast as the reference ours was in each turn, sorted."""

    seconds: float
    reference_seconds: float
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)

    @property
    def least(self) -> float:
        return self.ratios[0]

    @property
    def most(self) -> float:
        return self.ratios[-1]


def time_pairs(
    ours: Callable[[], object],
    reference: Callable[[], object],
    repeats: int,
    clock: Callable[[], float],
    warm: int = 3,
    in_a_row: int = 1,
) -> Pair:
    """Return the times of `repeats` turns, in each of which either is called `in_a_row` times.

    Each is called `warm` times before. `clock` returns seconds, and waits for a GPU where there is one.
    """
    for call in (ours, reference):
        for _ in range(warm):
            call()
    turns = []
    for _ in range(repeats):
        times = [clock()]
        for call in (ours, reference):
            for _ in range(in_a_row):
                call()
            times.append(clock())
        turns.append((times[1] - times[0], times[2] - times[1]))
    return Pair(
        statistics.median(turn[0] for turn in turns) / in_a_row,
        statistics.median(turn[1] for turn in turns) / in_a_row,
        tuple(sorted(reference / ours for ours, reference in turns)),
    )
