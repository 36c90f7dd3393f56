"""Which documents were seen before: the answers of a set, in eight bytes each."""

import tracemalloc

import numpy as np

from mulfact.data_builders.mixture.seen_hashes import SeenHashes, SortedRuns


def test_seen_hashes_count_copies() -> None:
    seen, hashes = SeenHashes(), np.array([5, 6, 5, 2**64 - 1], np.uint64)
    assert seen.count(hashes, 1).tolist() == [0, 0, -1, 0]
    assert seen.count(hashes, 3).tolist() == [1, 1, 2, 1]
    assert seen.count(hashes, 3).tolist() == [-1, 2, -1, 2]
    assert seen.count(np.array([7], np.uint64), 1).tolist() == [0]


def test_seen_hashes_are_those_of_a_set() -> None:
    draws = np.random.default_rng(0)
    seen, plain = SortedRuns(), set()
    for _ in range(200):
        hashes = draws.integers(0, 3000, draws.integers(0, 40)).astype(np.uint64)
        expected = []
        for value in hashes.tolist():
            expected.append(value not in plain)
            plain.add(value)
        assert seen.add(hashes).tolist() == expected
    assert sum(map(len, seen.runs)) == len(plain)
    assert len(seen.runs) < 12


def test_hashes_of_all_parts_take_eight_bytes_each() -> None:
    draws = np.random.default_rng(0)
    seen, total = SeenHashes(), 400_000
    everything = draws.integers(0, 2**64, total, np.uint64)
    tracemalloc.start()
    for start in range(0, total, 5000):
        assert seen.add(everything[start : start + 5000]).all()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not seen.add(everything[::7]).any()
    assert held < 8.5 * total
    assert peak < 11 * total
