"""What is found out about documents on the worker processes: hashes, facts, overlap with benchmarks.

Everything that is a function of the documents alone happens here; what depends on their order (duplicates, shares of
the sources, shards) happens in corpus.py, so that the corpus does not depend on the number of workers.
"""

import functools
import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mulfact.data_builders.contamination.ngrams import NgramIndex, benchmark_texts
from mulfact.data_builders.sources.blocks import Block
from mulfact.data_builders.sources.readers import Position
from mulfact.tokenizers.rewrite import reference_rewriter

PART_BITS = 4
PARTS = 2**PART_BITS
COPY = 0x9E3779B97F4A7C15
FACTS = [f"{a}x{b}" for a in range(1, 10) for b in range(1, 10)]


@dataclass(frozen=True)
class Task:
    """A block of one source, and the folder of benchmarks that it is held against (None: not at all)."""

    block: Block
    benchmarks: str | None


@dataclass(frozen=True)
class Documents:
    """A block's documents, with arrays of one entry for each.

    `facts` holds a row (document, fact, occurrences) for each fact of FACTS that a document holds, `overlaps` a row
    (document, item) for each benchmark item with which it shares an n-gram.
    """

    position: Position
    skipped: Counter[str]
    texts: list[str]
    bytes: np.ndarray
    hashes: np.ndarray
    facts: np.ndarray
    overlaps: np.ndarray


def prepare(task: Task) -> Documents:
    """Return the documents of a block with all that can be known about each by itself."""
    texts = task.block.texts()
    encoded = [text.encode() for text in texts]
    overlaps = np.empty((0, 2), np.int64)
    if task.benchmarks is not None:
        overlaps = benchmark_index(task.benchmarks).find(texts)
    return Documents(
        position=task.block.position,
        skipped=task.block.skipped,
        texts=texts,
        bytes=np.array([len(raw) for raw in encoded], np.int64),
        hashes=np.array([hash64(raw) for raw in encoded], np.uint64),
        facts=count_facts(texts),
        overlaps=overlaps,
    )


def hash64(raw: bytes) -> int:
    """Return the first 64 bits of a document's BLAKE2b: its identity, and what the validation split goes by."""
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "big")


def count_facts(texts: Iterable[str]) -> np.ndarray:
    """Return rows (document, fact, occurrences) by the reference rewriter, int64 of shape (n, 3)."""
    rewriter = reference_rewriter()
    rows = []
    for document, text in enumerate(texts):
        for token, count in rewriter.count(text).items():
            rows.append((document, _fact_numbers()[token], count))
    return np.array(rows, np.int64).reshape(-1, 3)


@functools.cache
def _fact_numbers() -> dict[str, int]:
    return {f"<MUL_{a}_{b}>": FACTS.index(f"{a}x{b}") for a in range(1, 10) for b in range(1, 10)}


@functools.cache
def benchmark_index(folder: str) -> NgramIndex:
    """Return the n-grams of the benchmarks of a folder; read once in each process."""
    return NgramIndex(benchmark_texts(Path(folder)))


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
