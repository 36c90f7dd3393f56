"""13-gram overlap of training texts with the items of benchmarks, and near duplicates between two sets.

    index = NgramIndex(benchmark_texts(Path("outputs/smoke/benchmarks")))
    overlap = Overlap(index)
    overlap.add(texts, index.find(texts))       # as often as there are texts
    overlap.refuse(allowed=["svamp"])           # a UserError for overlap with any other benchmark
    manifest["overlap"] = overlap.report()

An n-gram is n consecutive words, where a word is a run of letters and digits without regard to case (the rule of
GPT-3's appendix C, with n = 13). An item of fewer words has no n-gram and cannot be found; the report counts these.
"""

import hashlib
import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.errors import UserError

N = 13
WORD = re.compile(r"\w+")
EXAMPLES = 5


def words(text: str) -> list[str]:
    """Return the words of a text in lower case."""
    return WORD.findall(text.lower())


def benchmark_texts(folder: Path) -> dict[str, dict[str, str]]:
    """Return the prompts of a benchmarks folder, {benchmark: {item id: text}}. Raises UserError when there are none."""
    paths = sorted(folder.glob("*.jsonl"))
    if not paths:
        raise UserError(f"{folder} holds no benchmark (*.jsonl): run data_builders/benchmarks.py, or correct the path")
    return {path.stem: {row["id"]: row["prompt"] for _, row in read_jsonl(path)} for path in paths}


class NgramIndex:
    """The n-grams of many short texts, to be found in many long ones.

    An n-gram is known by a 64-bit polynomial hash over hashes of its words. Speed comes from the words that no item
    has: they end every candidate.
    """

    def __init__(self, texts: Mapping[str, Mapping[str, str]], n: int = N) -> None:
        self.n = n
        self.items = [(name, item) for name, group in texts.items() for item in group]
        item_words = [words(text) for group in texts.values() for text in group.values()]
        self.vocabulary = {word: _word_hash(word) for word in set(itertools.chain.from_iterable(item_words))}
        hashes, owner = self._ngrams(item_words)
        self.has_ngrams = np.zeros(len(self.items), bool)
        self.has_ngrams[owner] = True
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.owner = hashes[order], owner[order]

    def find(self, texts: Sequence[str]) -> np.ndarray:
        """Return the pairs (index of text, index into `items`) that share an n-gram, int64 of shape (pairs, 2)."""
        hashes, text = self._ngrams([words(text) for text in texts])
        first, last = np.searchsorted(self.hashes, hashes, "left"), np.searchsorted(self.hashes, hashes, "right")
        hits = np.flatnonzero(last > first)
        pairs = {(int(text[hit]), int(owner)) for hit in hits for owner in self.owner[first[hit] : last[hit]]}
        return np.array(sorted(pairs), np.int64).reshape(-1, 2)

    def _ngrams(self, texts: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Return the hash of each n-gram made of known words, and the index of the text that it stands in."""
        # One unknown word behind each text keeps n-grams from reaching over its end.
        stream = itertools.chain.from_iterable(itertools.chain(text, ("",)) for text in texts)
        total = sum(map(len, texts)) + len(texts)
        word_hashes = np.fromiter((self.vocabulary.get(word, 0) for word in stream), np.uint64, total)
        unknown = np.concatenate([[0], np.cumsum(word_hashes == 0)])
        starts = np.flatnonzero(unknown[self.n :] == unknown[: -self.n]) if total >= self.n else np.empty(0, np.int64)
        hashes = np.zeros(len(starts), np.uint64)
        for offset in range(self.n):
            hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + word_hashes[starts + offset]
        ends = np.cumsum([len(text) + 1 for text in texts])
        return hashes, np.searchsorted(ends, starts, "right")


class Overlap:
    """What was found, benchmark by benchmark; `found` is plain JSON, so that an interrupted build can keep it."""

    def __init__(self, index: NgramIndex, found: dict[str, Any] | None = None) -> None:
        self.index = index
        self.found: dict[str, dict[str, Any]] = found if found is not None else {}

    def add(self, texts: Sequence[str], pairs: np.ndarray) -> None:
        """Count the pairs that `find(texts)` returned."""
        touched: dict[str, set[int]] = defaultdict(set)
        for text, item in pairs.tolist():
            name, identity = self.index.items[item]
            entry = self.found.setdefault(name, {"texts": 0, "items": [], "examples": []})
            if identity not in entry["items"]:
                entry["items"].append(identity)
                if len(entry["examples"]) < EXAMPLES:
                    entry["examples"].append({"item": identity, "text": texts[text][:200]})
            touched[name].add(text)
        for name, distinct in touched.items():
            self.found[name]["texts"] += len(distinct)

    def refuse(self, allowed: Iterable[str], setting: str) -> None:
        """Raise UserError for overlap with a benchmark that is not `allowed`; `setting` names where to allow it."""
        for name, entry in self.found.items():
            if name not in allowed:
                example = entry["examples"][0]
                text = json.dumps(example["text"][:80], ensure_ascii=False)
                raise UserError(
                    f"{entry['texts']} training texts share {self.index.n} consecutive words with "
                    f"{len(entry['items'])} items of the benchmark {name}, such as {example['item']} with the text "
                    f"that begins {text}; remove the texts, or name {name} in {setting}"
                )

    def report(self) -> dict[str, Any]:
        """Return the report for a manifest: every benchmark, also those without overlap."""
        items = Counter(name for name, _ in self.index.items)
        too_short = Counter(
            name for (name, _), found in zip(self.index.items, self.index.has_ngrams, strict=True) if not found
        )
        nothing: dict[str, Any] = {"texts": 0, "items": [], "examples": []}
        benchmarks = {}
        for name, count in items.items():
            entry = self.found.get(name, nothing)
            benchmarks[name] = {
                "items": count,
                "items_too_short": too_short[name],
                "overlapping_items": len(entry["items"]),
                "overlapping_texts": entry["texts"],
                "examples": entry["examples"],
            }
        return {"n": self.index.n, "benchmarks": benchmarks}


def near_duplicates(
    left: Mapping[str, str], right: Mapping[str, str], shingle: int = 5, threshold: float = 0.6
) -> list[tuple[str, str, float]]:
    """Return (left id, right id, similarity) of the pairs that share most of their word n-grams, most similar first.

    The similarity is the Jaccard index of their sets of n-grams of `shingle` words: 1.0 for an exact duplicate.
    """
    grams = {identity: _shingles(text, shingle) for identity, text in right.items()}
    holders: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for identity, own in grams.items():
        for gram in own:
            holders[gram].append(identity)
    pairs = []
    for identity, text in left.items():
        own = _shingles(text, shingle)
        shared = Counter(other for gram in own for other in holders.get(gram, ()))
        for other, count in shared.items():
            similarity = count / (len(own) + len(grams[other]) - count)
            if similarity >= threshold:
                pairs.append((identity, other, round(similarity, 4)))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def _shingles(text: str, size: int) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[start : start + size]) for start in range(max(1, len(tokens) - size + 1))}


def _word_hash(word: str) -> int:
    # Never 0, which stands for a word that no item has.
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") | 1
