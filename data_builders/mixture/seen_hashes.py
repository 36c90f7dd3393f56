"""Which documents were there before: the hashes of a corpus, 8 bytes a document.

seen = SeenHashes()
new = seen.add(np.array([hash64(text.encode()) for text in texts], np.uint64))
"""

import numpy as np

PART_BITS = 4
PARTS = 2**PART_BITS
COPY = 0x9E3779B97F4A7C15


class SeenHashes:
    """The hashes of all documents so far: the one thing in a build that grows with the corpus, 8 bytes a document.

    They are kept in PARTS by their first bits, so that only one part at a time is copied when it is put in order. Two
    of n different documents have the same 64-bit hash with probability n^2 / 2^65: 3e-6 for ten million.
    """

    def __init__(self) -> None:
        self.parts = [SortedRuns() for _ in range(PARTS)]

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Remember uint64 `hashes`; return for each whether it is there for the first time."""
        part = (hashes >> np.uint64(64 - PART_BITS)).astype(np.int64)
        order = np.argsort(part, kind="stable")
        ends = np.searchsorted(part[order], np.arange(1, PARTS))
        mask = np.empty(len(hashes), bool)
        for runs, places in zip(self.parts, np.split(order, ends), strict=True):
            mask[places] = runs.add(hashes[places])
        return mask

    def count(self, hashes: np.ndarray, most: int) -> np.ndarray:
        """Remember uint64 `hashes`; return of each which copy it is, 0 for the first, and -1 beyond `most` copies."""
        copies = np.full(len(hashes), -1)
        for copy in range(most):
            rest = np.flatnonzero(copies < 0)
            # Every further copy is remembered under a hash of its own.
            new = self.add(hashes[rest] + np.uint64(copy * COPY % 2**64))
            copies[rest[new]] = copy
        return copies


class SortedRuns:
    """Hashes in sorted runs of geometrically falling length: quick to search, and merged in linear time."""

    def __init__(self) -> None:
        self.runs: list[np.ndarray] = []

    def add(self, hashes: np.ndarray) -> np.ndarray:
        unique, first = np.unique(hashes, return_index=True)
        new = np.ones(len(unique), bool)
        for run in self.runs:
            at = np.minimum(np.searchsorted(run, unique), len(run) - 1)
            new &= run[at] != unique
        mask = np.zeros(len(hashes), bool)
        mask[first[new]] = True
        if new.any():
            self.runs.append(unique[new])
        while len(self.runs) > 1 and 2 * len(self.runs[-1]) >= len(self.runs[-2]):
            merged = np.concatenate([self.runs.pop(), self.runs.pop()])
            merged.sort(kind="stable")  # in place, which merges two sorted runs in linear time
            self.runs.append(merged)
        return mask
