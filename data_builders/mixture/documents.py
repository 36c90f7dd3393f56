"""What is found out about documents on the worker processes: hashes, facts, overlap with benchmarks.

Everything that is a function of the documents alone happens here; what depends on their order (duplicates, shares of
the sources, shards) happens in build.py, so that the corpus does not depend on the number of workers.
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
