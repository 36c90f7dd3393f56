"""The corpus in the ids of one arm's tokenizer: memory-mapped shards for pretraining.

    python data_builders/tokens.py --config outputs/smoke/mulfact/recipes/tokens.yaml
    python data_builders/tokens.py --config outputs/smoke/mulfact/recipes/tokens.yaml --num_workers 2

Each file of the corpus becomes <name>.bin (ids, an <|endoftext|> behind each document) and <name>.index.npz (for each
document `tokens`, `bytes`, `fact_free`, `source`), the same documents in the same order in every arm. The validation
files are encoded once more as canonical-*: their canonical text, on which the losses of arms can be compared. Nothing
of a finished file is kept, and an interrupted build goes on with the files that are missing (`<output_dir>.shards`). A
finished output of the same corpus and tokenizer is taken up whole: then only the manifest is written again.
"""

import functools
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from tqdm import tqdm

from mulfact.data_builders.storage.corpus_files import not_written, pieces, read_documents
from mulfact.data_builders.storage.work_folder import WorkFolder
from mulfact.data_builders.storage.workers import Workers
from mulfact.errors import UserError, command
from mulfact.provenance import COUNTS, input_hash, stage_output, write_json
from mulfact.settings import parse
from mulfact.tokenizers.canonical import canonical_text
from mulfact.tokenizers.encode import BulkEncoder
from mulfact.tokenizers.facts import Facts, read_facts

EOS = "<|endoftext|>"
VALIDATION, CANONICAL = "validation", "canonical"  # splits: validation text as it is, and in its canonical spelling
PIECE = 200_000  # bytes of text that are encoded at a time
QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)


@dataclass
class ShardsArguments:
    output_dir: str = field(metadata={"help": "Folder of the shards and manifest.json."})
    corpus: str = field(metadata={"help": "Output of data_builders/corpus.py."})
    tokenizer: str = field(metadata={"help": "Output of tokenizers/build.py."})
    num_workers: int = field(metadata={"help": "Processes; each encodes a file of the corpus at a time."})
    min_fact_share: float = field(metadata={"help": "Of training tokens, when the tokenizer has fact tokens."})
    max_steps: int | None = field(metadata={"help": "Of pretraining; null: target_tokens says it."})
    tokens_per_step: int | None = field(metadata={"help": "Of pretraining."})
    target_tokens: int | None = field(metadata={"help": "Of pretraining; null: max_steps says it."})
    steps_factor: float = field(metadata={"help": "Of pretraining."})
    allow_epochs: bool = field(metadata={"help": "Whether pretraining may read a document twice."})

    @property
    def pretraining_tokens(self) -> int | None:
        """What pretraining will read; None when its recipe sets FLOPs instead, or when nothing is said of it."""
        if self.max_steps is not None and self.tokens_per_step is not None:
            return round(self.steps_factor * self.max_steps) * self.tokens_per_step
        return None if self.target_tokens is None else round(self.steps_factor * self.target_tokens)


@dataclass(frozen=True)
class Task:
    """One file of the corpus, and what it takes to encode it."""

    corpus_file: Path
    destination: Path  # without suffix
    tokenizer: Path
    sources: tuple[str, ...]
    dtype: str
    eos_token_id: int
    fact_ids: tuple[int, ...]
    canonical: bool = False  # encode the canonical text of the documents


@command
def main() -> None:
    arguments = parse(ShardsArguments)
    inputs = [arguments.corpus, arguments.tokenizer]
    with stage_output(arguments.output_dir, arguments, inputs, descriptions=COUNTS) as folder:
        corpus = json.loads((Path(arguments.corpus) / "manifest.json").read_text())
        facts = read_facts(arguments.tokenizer)
        work = WorkFolder(arguments.output_dir, {path: input_hash(path) for path in inputs})
        tasks = plan(arguments, corpus, facts, work)
        files = [task.destination.name + suffix for task in tasks for suffix in (".bin", ".index.npz")]
        if built_as(arguments.output_dir) == work.build:
            work.take_up(Path(arguments.output_dir), files)
        missing = [task for task in tasks if not index_file(task).is_file()]
        with Workers(arguments.num_workers) as workers:
            for _ in tqdm(workers.map(encode_shard, missing), "tokens", total=len(missing), unit="shard"):
                pass
        content = {"build": work.build, **manifest(tasks, facts)}
        content["pretraining"] = supply(content, arguments)
        check(content, facts, arguments)
        work.link_into(folder, files)
        write_json(folder / "manifest.json", content)
    work.remove()
    train, epochs = content["splits"]["train"], content["pretraining"]["epochs"]
    print(
        f"{arguments.output_dir}: {train['tokens']:,} training tokens of {train['bytes']:,} bytes "
        f"({train['tokens_per_byte']:.4f} per byte), {content['fact_share']:.5f} of them fact tokens"
        + (f"; pretraining reads {epochs:.2f} epochs" if epochs is not None else "")
    )


def built_as(folder: str) -> str | None:
    """Return the mark of the build that a finished output comes from; None when there is none."""
    path = Path(folder) / "manifest.json"
    return json.loads(path.read_text()).get("build") if path.is_file() else None


def plan(arguments: ShardsArguments, corpus: dict[str, Any], facts: Facts, work: WorkFolder) -> list[Task]:
    """Return a task for each file of the corpus. Raises UserError for a tokenizer without <|endoftext|>."""
    eos = tokenizers.Tokenizer.from_file(str(Path(arguments.tokenizer) / "tokenizer.json")).token_to_id(EOS)
    if eos is None:
        raise UserError(f"{arguments.tokenizer}: its vocabulary has no {EOS}, which divides documents; build it again")
    tasks = [
        Task(
            corpus_file=Path(arguments.corpus) / shard["file"],
            destination=work.path / Path(shard["file"]).stem,
            tokenizer=Path(arguments.tokenizer),
            sources=tuple(corpus["sources"]),
            dtype="uint16" if facts.vocab_size <= 2**16 else "uint32",
            eos_token_id=eos,
            fact_ids=tuple(facts.by_id),
        )
        for split in corpus["splits"].values()
        for shard in split["shards"]
    ]
    canonical = [
        replace(task, destination=task.destination.with_name(name.replace(VALIDATION, CANONICAL, 1)), canonical=True)
        for task in tasks
        if (name := task.destination.name).startswith(VALIDATION)
    ]
    return tasks + canonical


def index_file(task: Task) -> Path:
    return task.destination.with_name(task.destination.name + ".index.npz")


def encode_shard(task: Task) -> None:
    """Write the ids and the index of one file of the corpus; the index takes its name last, and so marks the end.

    Raises UserError when a document's ids hold <|endoftext|>, as every reader would see two documents, and when there
    is no room.
    """
    try:
        write_shard(task)
    except OSError as error:
        raise not_written(task.destination, error) from error


def write_shard(task: Task) -> None:
    encoder = load_encoder(task.tokenizer)
    counts = np.zeros(max((0, *task.fact_ids)) + 1, np.int64)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("tokens", "bytes", "fact_free", "source")}
    with task.destination.with_name(task.destination.name + ".bin").open("wb") as file:
        # The lists of ids take many times the room of the text.
        for table in itertools.chain.from_iterable(pieces(one, PIECE) for one in read_documents(task.corpus_file)):
            texts = table["text"].to_pylist()
            if task.canonical:
                texts = [canonical_text(text) for text in texts]
            ids, lengths = flatten(encoder.encode_batch(texts), task.eos_token_id)
            if (ids == task.eos_token_id).sum() != len(texts):
                raise UserError(f"{task.corpus_file}: a document spells {EOS}; remove it and build the corpus again")
            file.write(ids.astype(np.dtype(task.dtype).newbyteorder("<")).tobytes())
            counts += np.bincount(ids[ids < len(counts)], minlength=len(counts))
            columns["tokens"].append(lengths)
            columns["bytes"].append(np.array([len(text.encode()) for text in texts], np.int32))
            columns["fact_free"].append(table["facts"].to_numpy() == 0)
            columns["source"].append(
                np.array([task.sources.index(name) for name in table["source"].to_pylist()], np.uint8)
            )
    arrays: dict[str, Any] = {name: np.concatenate(parts) for name, parts in columns.items()}
    partial = task.destination.with_name(task.destination.name + ".partial.npz")
    np.savez(partial, fact_counts=counts[list(task.fact_ids)], **arrays)
    partial.replace(index_file(task))


@functools.lru_cache(maxsize=1)
def load_encoder(folder: Path) -> BulkEncoder:
    """Return the encoder of a tokenizer; a worker compiles its patterns once."""
    return BulkEncoder(folder)


def flatten(encoded: Sequence[Sequence[int]], eos_token_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Return all ids in a row, an eos behind each document, and the length of each document with its eos, int32."""
    lengths = np.array([len(ids) + 1 for ids in encoded], np.int32)
    stream = itertools.chain.from_iterable(itertools.chain(ids, (eos_token_id,)) for ids in encoded)
    return np.fromiter(stream, np.int64, int(lengths.sum())), lengths


def manifest(tasks: Sequence[Task], facts: Facts) -> dict[str, Any]:
    """Return what the shards hold, by split, and how often each fact token occurs in the training tokens."""
    splits: dict[str, Any] = {}
    fact_counts = np.zeros(len(facts.fact_tokens), np.int64)
    for split in ("train", VALIDATION, CANONICAL):
        shards = [task for task in tasks if task.destination.name.startswith(split)]
        # How many documents have each length: its size does not grow with the corpus.
        histogram, raw_bytes, in_split = np.zeros(1, np.int64), 0, np.zeros(len(fact_counts), np.int64)
        for task in shards:
            with np.load(index_file(task)) as index:
                lengths = np.bincount(index["tokens"], minlength=len(histogram))
                lengths[: len(histogram)] += histogram
                histogram = lengths
                raw_bytes += int(index["bytes"].sum(dtype=np.int64))
                in_split += index["fact_counts"]
        documents, tokens = int(histogram.sum()), int(histogram @ np.arange(len(histogram)))
        splits[split] = {
            "shards": [task.destination.name for task in shards],
            "documents": documents,
            "tokens": tokens,
            "bytes": raw_bytes,
            "fact_tokens": int(in_split.sum()),
            "tokens_per_byte": tokens / max(raw_bytes, 1),
            "bytes_per_token": raw_bytes / max(tokens, 1),
            "length_quantiles": {
                str(q): int(np.searchsorted(np.cumsum(histogram), int(q * (documents - 1)), side="right"))
                for q in QUANTILES
                if documents
            },
        }
        if split == "train":
            fact_counts = in_split
    return {
        "dtype": tasks[0].dtype,
        "sources": list(tasks[0].sources),
        "eos_token_id": tasks[0].eos_token_id,
        "vocab_size": facts.vocab_size,
        "splits": splits,
        "fact_counts": {fact.token: count for fact, count in zip(facts.fact_tokens, fact_counts.tolist(), strict=True)},
        "fact_share": splits["train"]["fact_tokens"] / max(splits["train"]["tokens"], 1),
    }


def supply(content: dict[str, Any], arguments: ShardsArguments) -> dict[str, Any]:
    """Return the tokens that pretraining will read and how many epochs of the training split they are."""
    needed, found = arguments.pretraining_tokens, content["splits"]["train"]["tokens"]
    return {"tokens": needed, "epochs": needed / max(found, 1) if needed is not None else None}


def check(content: dict[str, Any], facts: Facts, arguments: ShardsArguments) -> None:
    """Raise UserError when there are too few tokens for pretraining, or fact tokens are too rare to be learnt."""
    epochs = content["pretraining"]["epochs"]
    if epochs is not None and epochs > 1 and not arguments.allow_epochs:
        raise UserError(
            f"the corpus has {content['splits']['train']['tokens']:,} training tokens in this arm, and pretraining "
            f"reads {content['pretraining']['tokens']:,}, which are {epochs:.2f} epochs: raise corpus.target_bytes, "
            "train fewer steps, or set pretrain.allow_epochs"
        )
    share = content["fact_share"]
    if facts.fact_tokens and share < arguments.min_fact_share:
        more = (
            "add text that holds your tokens' patterns to corpus.sources (docs/data.md)"
            if facts.mode == "custom"
            else "raise the weight of the synthetic source in the corpus"
        )
        raise UserError(
            f"{share:.6f} of the training tokens are this arm's added tokens; tokens.min_fact_share asks for "
            f"{arguments.min_fact_share}: {more}, or lower the share in every arm alike"
        )


if __name__ == "__main__":
    main()
