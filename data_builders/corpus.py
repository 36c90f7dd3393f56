"""The raw documents that every arm is trained on: a seeded mixture of sources, split by document hash.

    python data_builders/corpus.py --config outputs/smoke/recipes/corpus.yaml
    python data_builders/corpus.py --config outputs/smoke/recipes/corpus.yaml --target_bytes 1000000 --output_dir corpus

Writes train-00000.parquet, validation-00000.parquet, ... (columns `text`, `source`, and `facts`: how many 1-9 facts the
text holds) and manifest.json. What is written depends on the recipe alone: not on num_workers, and not on where an
earlier try was interrupted (its finished shards wait in `<output_dir>.shards`).
"""

import dataclasses
from pathlib import Path
from typing import Any

from mulfact.data_builders.corpus_arguments import CorpusArguments
from mulfact.data_builders.mixture.build import SPLITS, CorpusBuild
from mulfact.data_builders.mixture.documents import FACTS
from mulfact.data_builders.sources.blocks import open_source
from mulfact.data_builders.sources.readers import pin_revision
from mulfact.data_builders.sources.settings import SourceSettings
from mulfact.data_builders.storage.card import write_card
from mulfact.data_builders.storage.work_folder import WorkFolder
from mulfact.data_builders.storage.workers import Workers
from mulfact.data_builders.synthetic.documents import diversity
from mulfact.data_builders.synthetic.word_problems import TEMPLATES
from mulfact.errors import UserError, command
from mulfact.provenance import COUNTS, input_hash, stage_output, write_json
from mulfact.settings import parse

COUNTED = ("skipped", "repeated", "duplicates", "overlapping")
SAMPLE_BYTES = 2_000_000
SPLIT_RULE = "validation when BLAKE2b-64 of the UTF-8 text, as a big-endian fraction of 2**64, is below the fraction"


CARD = """Raw documents for pretraining, the same for every arm of the experiment. Column `source` names where a
document comes from, `facts` counts the multiplication facts of 1 to 9 in it. The validation split is decided by a hash
of the document; exact duplicates were left out across both splits."""


@command
def main() -> None:
    arguments = parse(CorpusArguments)
    sources = [pin_revision(source) for source in arguments.read_sources()]
    files = [path for source in sources for path in source.paths()]
    inputs: list[str | Path] = [*files, *([arguments.benchmarks] if arguments.benchmarks else [])]
    with stage_output(arguments.output_dir, arguments, inputs, descriptions=COUNTS) as folder:
        work = WorkFolder(arguments.output_dir, build_key(arguments, sources, files))
        with Workers(arguments.num_workers) as workers:
            build = CorpusBuild(arguments, sources, work)
            build.run(workers)
        check(build)
        content = manifest(build)
        work.link_into(folder, build.file_names())
        write_json(folder / "manifest.json", content)
        describe(folder, content, sources)
    work.remove()
    counts = [
        f"{name}: {one['documents']:,} documents, {one['bytes']:,} bytes" for name, one in content["splits"].items()
    ]
    print(f"{arguments.output_dir}: {'; '.join(counts)}; each fact at least {build.fact_counts.min():,} times in train")


def describe(folder: Path, content: dict[str, Any], sources: list[SourceSettings]) -> None:
    """Write the card of a corpus whose manifest is `content`."""
    write_card(
        folder,
        title="mulfact corpus",
        description=CARD,
        configs={"default": {split: f"{split}-*.parquet" for split in SPLITS}},
        counts=[
            {"split": split, "documents": one["documents"], "bytes": one["bytes"]}
            for split, one in content["splits"].items()
        ],
        licenses={source.name: source.license or ("mit" if source.generated else None) for source in sources},
        built_with="data_builders/corpus.py",
    )


def build_key(arguments: CorpusArguments, sources: list[SourceSettings], files: list[Path]) -> dict[str, Any]:
    """Return everything that decides the bytes of a shard, so that shards of another recipe are not taken up."""
    checks = ("output_dir", "num_workers", "min_fact_count", "max_duplicate_fraction")
    return {
        "settings": {name: value for name, value in dataclasses.asdict(arguments).items() if name not in checks},
        "sources": [dataclasses.asdict(source) for source in sources],
        "files": [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files],
        "benchmarks": input_hash(arguments.benchmarks) if arguments.benchmarks else None,
    }


def check(build: CorpusBuild) -> None:
    """Raise UserError when the finished corpus is not what the recipe asks for."""
    found, allowed = duplicates(build), build.arguments.max_duplicate_fraction
    if found["fraction"] > allowed:
        by_source = {name: tally["duplicates"] for name, tally in build.tallies.items()}
        raise UserError(
            f"{found['documents']} documents ({found['fraction']:.2%}) are exact duplicates, by source {by_source}; "
            f"corpus.max_duplicate_fraction allows {allowed:.2%}: repair the source or raise it"
        )
    minimum = build.arguments.min_fact_count
    rare = [f"{fact} ({count})" for fact, count in zip(FACTS, build.fact_counts, strict=True) if count < minimum]
    if rare:
        raise UserError(
            f"{len(rare)} of the {len(FACTS)} facts occur less than corpus.min_fact_count={minimum} times in the "
            f"training text: {', '.join(rare)}; raise corpus.target_bytes or the weight of the synthetic source, or "
            "lower the minimum"
        )
    fraction = build.arguments.validation_fraction
    if not any(shard["validation"]["documents"] for shard in build.shards):
        raise UserError(
            f"no document fell into validation: raise corpus.validation_fraction ({fraction}) or target_bytes"
        )


def duplicates(build: CorpusBuild) -> dict[str, Any]:
    """Return how many documents were left out as exact duplicates, and their fraction of all that were read."""
    count = sum(tally["duplicates"] for tally in build.tallies.values())
    kept = sum(tally["splits"][split]["documents"] for tally in build.tallies.values() for split in SPLITS)
    return {"documents": count, "fraction": round(count / (kept + count), 6)}


def manifest(build: CorpusBuild) -> dict[str, Any]:
    """Return what the corpus holds, split by split and source by source, and the rules by which it came about."""
    splits = {}
    for split in SPLITS:
        shards = [shard[split] for shard in build.shards if shard[split]["documents"]]
        splits[split] = {
            "documents": sum(shard["documents"] for shard in shards),
            "bytes": sum(shard["bytes"] for shard in shards),
            "shards": shards,
            "sources": {name: tally["splits"][split] for name, tally in build.tallies.items()},
        }
    return {
        "splits": splits,
        "fact_counts": dict(zip(FACTS, build.fact_counts.tolist(), strict=True)),
        "seed": build.arguments.seed,
        "split_rule": f"{SPLIT_RULE} {build.arguments.validation_fraction}",
        "mixture_rule": "the source furthest behind its share of bytes gives the next block; shards are shuffled",
        "duplicates": duplicates(build),
        "sources": {
            source.name: {
                **{name: value for name, value in dataclasses.asdict(source).items() if value is not None},
                **{name: build.tallies[source.name][name] for name in COUNTED},
                "reconnections": build.tallies[source.name]["position"].get("reconnections", 0),
            }
            for source in build.sources
        },
        "generator": generator_report(build),
        "overlap": None if build.overlap is None else {**overlap_rule(build.arguments), **build.overlap.report()},
    }


def overlap_rule(arguments: CorpusArguments) -> dict[str, Any]:
    """Return what was done about training documents that hold an item: dropped, unless the benchmark is allowed."""
    return {"rule": arguments.overlap, "allowed": arguments.allow_overlap}


def generator_report(build: CorpusBuild) -> dict[str, Any] | None:
    """Return how varied the synthetic text is, from its first SAMPLE_BYTES; None when the corpus has none."""
    if not (generated := [source for source in build.sources if source.generated]):
        return None
    settings = build.arguments.read_synthetic()
    block = next(open_source(generated[0], settings, build.arguments.seed, SAMPLE_BYTES, None))
    return {"templates": len(TEMPLATES), "sample": diversity(block.texts())}


if __name__ == "__main__":
    main()
