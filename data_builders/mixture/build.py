"""Mixing sources into the shards of a corpus, so that the bytes depend on the recipe alone.

    build = CorpusBuild(arguments, sources, work)   # takes up what an interrupted build of the same recipe left in work
    with Workers(arguments.num_workers) as workers:
        build.run(workers)

Blocks of documents arrive from the workers in the order of their source; everything that depends on order is decided
here, in one process: whose turn it is, which document is a duplicate, where a shard ends.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from mulfact.data_builders.contamination.ngrams import Overlap
from mulfact.data_builders.corpus_arguments import CorpusArguments
from mulfact.data_builders.mixture.documents import FACTS, Documents, Task, benchmark_index, hash64, prepare
from mulfact.data_builders.mixture.seen_hashes import SeenHashes
from mulfact.data_builders.sources.blocks import open_source
from mulfact.data_builders.sources.settings import SourceSettings
from mulfact.data_builders.storage.corpus_files import read_documents, write_documents
from mulfact.data_builders.storage.permutation import permutation
from mulfact.data_builders.storage.work_folder import WorkFolder
from mulfact.data_builders.storage.workers import Workers
from mulfact.errors import UserError
from mulfact.provenance import write_json

SPLITS = ("train", "validation")


def new_tally() -> dict[str, Any]:
    """Return what is counted for one source."""
    return {
        "position": None,
        "splits": {split: {"documents": 0, "bytes": 0} for split in SPLITS},
        "skipped": {},
        "repeated": 0,
        "duplicates": 0,
        "overlapping": 0,
    }


class CorpusBuild:
    """A corpus under construction: whole shards on disk, and what was counted up to the last of them."""

    def __init__(self, arguments: CorpusArguments, sources: list[SourceSettings], work: WorkFolder) -> None:
        self.arguments, self.sources, self.work = arguments, sources, work
        self.state_file = work.path / "state.json"
        state = json.loads(self.state_file.read_text()) if self.state_file.is_file() else {}
        self.shards: list[dict[str, Any]] = state.get("shards", [])
        self.tallies: dict[str, dict[str, Any]] = state.get("tallies") or {one.name: new_tally() for one in sources}
        self.fact_counts = np.array(state.get("fact_counts", [0] * len(FACTS)), np.int64)
        self.overlap = None
        if arguments.benchmarks is not None:
            self.overlap = Overlap(benchmark_index(arguments.benchmarks), state.get("overlap"))
        self.seen = SeenHashes()
        most = max(source.repeat for source in sources)
        for name in self.file_names():
            for table in read_documents(work.path / name):
                texts = table["text"].to_pylist()
                self.seen.count(np.array([hash64(text.encode()) for text in texts], np.uint64), most)

    def file_names(self) -> list[str]:
        return [shard[split]["file"] for shard in self.shards for split in SPLITS if shard[split]["documents"]]

    def train_bytes(self) -> int:
        return sum(tally["splits"]["train"]["bytes"] for tally in self.tallies.values())

    def share(self, source: SourceSettings) -> float:
        """Return the bytes of training text that a source has to give."""
        return self.arguments.target_bytes * source.weight / sum(one.weight for one in self.sources)

    def progress(self, source: SourceSettings) -> float:
        """Return how far a source is with its share."""
        return self.tallies[source.name]["splits"]["train"]["bytes"] / self.share(source)

    def run(self, workers: Workers) -> None:
        """Write the shards that are missing. Raises UserError when a source ends or fails before its share is full."""
        target = self.arguments.target_bytes
        streams = {source.name: workers.map(prepare, self.tasks(source)) for source in self.sources}
        with tqdm(total=target, initial=self.train_bytes(), unit="B", unit_scale=True, desc="corpus") as bar:
            while (start := self.train_bytes()) < target:
                shard: list[tuple[str, str, int, bool]] = []
                while (done := self.train_bytes()) < min(target, start + self.arguments.shard_bytes):
                    # The source that is furthest behind its share: the mixture is even all along the corpus.
                    source = min(self.sources, key=self.progress)
                    shard += self.admit(source, self.next_documents(source, streams[source.name]))
                    bar.update(min(target, self.train_bytes()) - done)
                self.write_shard(shard)

    def tasks(self, source: SourceSettings) -> Iterator[Task]:
        arguments = self.arguments
        synthetic = arguments.read_synthetic()
        # Small enough that the shares of the sources come out right, large enough that a worker is worth its while.
        block_size = min(max(arguments.target_bytes // 256, 4096), 1_000_000)
        position = self.tallies[source.name]["position"]
        for block in open_source(source, synthetic, arguments.seed, block_size, position):
            yield Task(block, arguments.benchmarks)

    def next_documents(self, source: SourceSettings, stream: Iterator[Documents]) -> Documents:
        tally = self.tallies[source.name]
        try:
            documents = next(stream, None)
        except UserError as error:
            raise UserError(f"{error} [{self.read_so_far(source)}]") from error
        if documents is None:
            left_out = {"duplicates": tally["duplicates"], **tally["skipped"]}
            raise UserError(
                f"source {source.name} ended before its share was full: {self.read_so_far(source)} "
                f"(left out: {left_out}); {self.remedy(source)}"
            )
        return documents

    def remedy(self, source: SourceSettings) -> str:
        """Return what can be done about a source that is too small for its share."""
        target, weight = self.arguments.target_bytes, sum(one.weight for one in self.sources)
        given = self.tallies[source.name]["splits"]["train"]["bytes"]
        if given == 0:
            return "correct its filters, or add text"
        readings = math.ceil(1.05 * source.repeat * self.share(source) / given)
        if source.weight == weight:
            smaller = f"lower corpus.target_bytes to {given:,}"
        else:
            # given = target * largest / (largest + the other weights), less a hundredth for what a block is more
            largest = 0.99 * given * (weight - source.weight) / (target - given)
            smaller = f"lower its weight to {largest:.3g}, which is what it can carry beside the others"
        return f"{smaller}, set repeat: {readings} to read its documents so often, or add text"

    def read_so_far(self, source: SourceSettings) -> str:
        splits = self.tallies[source.name]["splits"]
        count = sum(split["documents"] for split in splits.values())
        given, share = splits["train"]["bytes"], self.share(source)
        return (
            f"{source.name} gave {count:,} documents, {given:,} bytes of training text, "
            f"{given / share:.1%} of its share of {share:,.0f}"
        )

    def admit(self, source: SourceSettings, documents: Documents) -> list[tuple[str, str, int, bool]]:
        """Count a block and return its new documents as (text, source, facts, whether it is for validation).

        Raises UserError when training text overlaps with a benchmark and that is to be refused.
        """
        arguments, tally = self.arguments, self.tallies[source.name]
        validation = documents.hashes < np.uint64(arguments.validation_fraction * 2**64)
        dropped = self.refused_overlap(documents, validation)
        # Copies of a document up to the number that `repeat` allows; held out, a document stands once.
        copies = self.seen.count(documents.hashes[~dropped], source.repeat)
        new, again = ~dropped, np.zeros(len(dropped), bool)
        new[~dropped], again[~dropped] = copies >= 0, copies > 0
        held_out_again = validation & again
        new[held_out_again] = False
        # The corpus ends with the document that reaches the target.
        filled = np.cumsum(np.where(new & ~validation, documents.bytes, 0)) + self.train_bytes()
        end = int(np.searchsorted(filled, arguments.target_bytes)) + 1
        new[end:] = dropped[end:] = False

        tally["position"] = documents.position
        skipped = Counter({"held_out_again": int(held_out_again[:end].sum())}) + documents.skipped
        tally["skipped"] = dict(Counter(tally["skipped"]) + skipped)
        tally["repeated"] += int((new & again).sum())
        tally["duplicates"] += int((~new & ~dropped & ~held_out_again)[:end].sum())
        tally["overlapping"] += int(dropped.sum())
        for split, chosen in (("train", new & ~validation), ("validation", new & validation)):
            tally["splits"][split]["documents"] += int(chosen.sum())
            tally["splits"][split]["bytes"] += int(documents.bytes[chosen].sum())
        document, fact, count = documents.facts.T
        np.add.at(self.fact_counts, fact, np.where((new & ~validation)[document], count, 0))
        facts = np.bincount(document, weights=count, minlength=len(new)).astype(int).tolist()
        if self.overlap is not None:
            pairs = documents.overlaps
            self.overlap.add(documents.texts, pairs[((new | dropped) & ~validation)[pairs[:, 0]]])
            if arguments.overlap == "refuse":
                self.overlap.refuse(arguments.allow_overlap, "corpus.allow_overlap")
        held_out = validation.tolist()
        return [
            (documents.texts[index], source.name, facts[index], held_out[index])
            for index in np.flatnonzero(new).tolist()
        ]

    def refused_overlap(self, documents: Documents, validation: np.ndarray) -> np.ndarray:
        """Return for each document whether it is dropped because it holds an item of a benchmark."""
        dropped = np.zeros(len(documents.texts), bool)
        if self.overlap is not None and self.arguments.overlap == "drop":
            for document, item in documents.overlaps:
                benchmark, _ = self.overlap.index.items[item]
                dropped[document] |= benchmark not in self.arguments.allow_overlap
        return dropped & ~validation

    def write_shard(self, documents: list[tuple[str, str, int, bool]]) -> None:
        """Write a shard of both splits in a seeded order, and remember that everything up to here is finished."""
        number = len(self.shards)
        order = permutation(len(documents), self.arguments.seed, number).tolist()
        shard = {}
        for split in SPLITS:
            chosen = [documents[index] for index in order if documents[index][3] == (split == "validation")]
            name = f"{split}-{number:05d}.parquet"
            shard[split] = {
                "file": name,
                "documents": len(chosen),
                "bytes": sum(len(one[0].encode()) for one in chosen),
            }
            if chosen:
                texts, sources, facts, _ = zip(*chosen, strict=True)
                write_documents(self.work.path / name, texts, sources, facts)
        self.shards.append(shard)
        state = {"shards": self.shards, "tallies": self.tallies, "fact_counts": self.fact_counts.tolist()}
        write_json(self.state_file, {**state, "overlap": self.overlap.found if self.overlap else None})
