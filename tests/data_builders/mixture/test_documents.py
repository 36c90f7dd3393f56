"""What is known about documents by themselves, and which of them were seen before."""

import tracemalloc

import numpy as np

from mulfact.data_builders.mixture.documents import FACTS, Task, count_facts, hash64, prepare
from mulfact.data_builders.mixture.seen_hashes import SeenHashes, SortedRuns
from mulfact.data_builders.sources.blocks import TextBlock


def test_prepare_counts_bytes_hashes_and_facts() -> None:
    texts = ["6*9=54\n6 × 9 = 54", "no fact: 16*9=144", "3 times 4 is 12. 七八五十六"]
    documents = prepare(Task(TextBlock({"file": 1, "record": 3}, texts, {"too_short": 2}), None))
    assert documents.position == {"file": 1, "record": 3}
    assert documents.bytes.tolist() == [len(text.encode()) for text in texts]
    assert documents.hashes.tolist() == [hash64(text.encode()) for text in texts]
    found = {(document, FACTS[fact]): count for document, fact, count in documents.facts.tolist()}
    assert found == {(0, "6x9"): 2, (2, "3x4"): 1, (2, "7x8"): 1}
    assert documents.overlaps.shape == (0, 2)


def test_an_empty_block_is_nothing() -> None:
    assert count_facts([]).shape == (0, 3)
    assert prepare(Task(TextBlock({}, [], {}), None)).hashes.dtype == np.uint64


def test_hash_is_pinned() -> None:
    # The validation split goes by it: another value would move documents between the splits of a published corpus.
    assert hash64(b"6*9=54") == 12814096496763802578


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
