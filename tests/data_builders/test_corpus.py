"""The corpus command: what it writes, that it is the same however it is built, and what it refuses."""

import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from product_reader import expressions_in, products_in
from recipe_defaults import defaults

from mulfact.data_builders import benchmarks, corpus
from mulfact.data_builders.contamination.held_out import pair_is_held_out
from mulfact.data_builders.mixture.build import CorpusBuild
from mulfact.data_builders.mixture.documents import FACTS, hash64
from mulfact.data_builders.problems.prompts import question_of
from mulfact.data_builders.storage.rows import read_jsonl
from mulfact.tokenizers.rewrite import reference_rewriter

Build = Callable[..., Path]


@pytest.fixture
def recipe(tmp_path: Path, data_dir: Path) -> dict[str, Any]:
    """A small mixture of generated, plain and compressed text."""
    changes = {
        "output_dir": str(tmp_path / "corpus"),
        "sources": [
            {"name": "synthetic", "weight": 2.0},
            {"name": "wiki", "weight": 1.0, "files": [str(data_dir / "corpus" / "wikitext2_*.txt")], "license": "cc"},
            {"name": "openstax", "weight": 1.0, "files": [str(data_dir / "corpus" / "openstax_math.jsonl.gz")]},
        ],
        "target_bytes": 80_000,
        "shard_bytes": 25_000,
        "validation_fraction": 0.1,
        "max_duplicate_fraction": 0.5,
        "min_fact_count": 0,
        "benchmarks": None,
        "overlap": "refuse",
    }
    return defaults("corpus", **changes)


@pytest.fixture
def build(tmp_path: Path, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Build:
    """Runs the command with changes to the recipe; returns the folder of the corpus."""

    def run(**changes: Any) -> Path:
        settings = {**recipe, **changes}
        (tmp_path / "corpus.yaml").write_text(yaml.safe_dump(settings))
        monkeypatch.setattr(sys, "argv", ["corpus.py", "--config", str(tmp_path / "corpus.yaml")])
        corpus.main()
        return Path(settings["output_dir"])

    return run


def refused(build: Build, **changes: Any) -> str:
    """Returns the message with which the command ends."""
    with pytest.raises(SystemExit) as exit_:
        build(**changes)
    assert isinstance(exit_.value.code, str)
    return exit_.value.code


def documents(folder: Path, split: str) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.glob(f"{split}-*.parquet")) for row in pq.read_table(path).to_pylist()]


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def test_manifest_says_what_the_files_hold(build: Build) -> None:
    folder = build()
    manifest = json.loads((folder / "manifest.json").read_text())
    for split, said in manifest["splits"].items():
        rows = documents(folder, split)
        assert said["documents"] == len(rows) > 0
        assert said["bytes"] == sum(len(row["text"].encode()) for row in rows)
        assert [shard["file"] for shard in said["shards"]] == sorted(path.name for path in folder.glob(f"{split}-*"))
        assert sum(shard["documents"] for shard in said["shards"]) == len(rows)
        sources = Counter(row["source"] for row in rows)
        assert {name: one["documents"] for name, one in said["sources"].items() if one["documents"]} == sources
    train = documents(folder, "train")
    counts = sum((reference_rewriter().count(row["text"]) for row in train), Counter())
    assert manifest["fact_counts"] == {fact: counts[f"<MUL_{fact.replace('x', '_')}>"] for fact in FACTS}
    for row in train:
        assert row["facts"] == reference_rewriter().count(row["text"]).total()
    assert not (folder.parent / "corpus.shards").exists()
    assert "| wiki | cc |" in (folder / "README.md").read_text()


def test_shares_target_split_and_duplicates(build: Build) -> None:
    folder = build()
    manifest = json.loads((folder / "manifest.json").read_text())
    train, validation = documents(folder, "train"), documents(folder, "validation")
    # The corpus ends with the document that reaches the target, and a source is off by a block at most.
    size = manifest["splits"]["train"]["bytes"]
    longest = max(len(row["text"].encode()) for row in train)
    assert 80_000 <= size < 80_000 + longest
    for name, weight in (("synthetic", 2), ("wiki", 1), ("openstax", 1)):
        given = manifest["splits"]["train"]["sources"][name]["bytes"]
        assert abs(given - size * weight / 4) < 4096 + longest
    assert all(hash64(row["text"].encode()) < 0.1 * 2**64 for row in validation)
    assert all(hash64(row["text"].encode()) >= 0.1 * 2**64 for row in train)
    texts = [row["text"] for row in train + validation]
    assert len(set(texts)) == len(texts)


def test_workers_change_nothing_and_the_seed_does(build: Build, tmp_path: Path) -> None:
    one = shards(build())
    assert shards(build(num_workers=2, output_dir=str(tmp_path / "two"))) == one
    assert shards(build(output_dir=str(tmp_path / "again"))) == one
    assert shards(build(seed=1, output_dir=str(tmp_path / "other"))) != one


def test_killed_builds_go_on_to_the_same_bytes(build: Build, recipe: dict[str, Any], tmp_path: Path) -> None:
    whole = build(target_bytes=1_500_000, sources=recipe["sources"][:1], shard_bytes=150_000)
    expected = shards(whole)
    settings = {**yaml.safe_load((tmp_path / "corpus.yaml").read_text()), "output_dir": str(tmp_path / "killed")}
    (tmp_path / "killed.yaml").write_text(yaml.safe_dump(settings))
    work = tmp_path / "killed.shards"
    command = [sys.executable, "-m", "mulfact.data_builders.corpus", "--config", str(tmp_path / "killed.yaml")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not (work / "train-00001.parquet").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed").exists()
    before = (work / "train-00000.parquet").stat()
    subprocess.run(command, check=True, capture_output=True)
    assert shards(tmp_path / "killed") == expected
    # The shard that was finished was not written again.
    assert (tmp_path / "killed" / "train-00000.parquet").stat().st_ino == before.st_ino
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (whole, tmp_path / "killed")]
    assert manifests[0] == manifests[1]


def test_every_kind_of_source_goes_on_to_the_same_bytes(
    build: Build, recipe: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "web").mkdir()
    for shard in range(2):
        rows = [f"Page {number} of {shard}. " + "word " * (number % 90) for number in range(400)]
        pq.write_table(pa.table({"text": rows}), tmp_path / "web" / f"train-{shard:05d}-of-00002.parquet")
    sources = [*recipe["sources"], {"name": "web", "weight": 3.0, "dataset": str(tmp_path / "web"), "repeat": 2}]
    whole = build(sources=sources, output_dir=str(tmp_path / "whole"))
    write_shard = CorpusBuild.write_shard

    def write_then_interrupt(self: CorpusBuild, documents: list[tuple[str, str, int, bool]]) -> None:
        write_shard(self, documents)
        raise KeyboardInterrupt

    monkeypatch.setattr(CorpusBuild, "write_shard", write_then_interrupt)
    for _ in range(2):
        assert "interrupted" in refused(build, sources=sources)
    monkeypatch.setattr(CorpusBuild, "write_shard", write_shard)
    interrupted = build(sources=sources)
    assert len(shards(whole)) > 4
    assert shards(interrupted) == shards(whole)
    manifests = [json.loads((folder / "manifest.json").read_text()) for folder in (whole, interrupted)]
    assert manifests[0] == manifests[1]


def test_a_full_disk_is_told_and_loses_nothing(build: Build, recipe: dict[str, Any], tmp_path: Path) -> None:
    # Files of at most 20 kB: the second shard, with the long documents, does not fit.
    texts = [random.Random(n).randbytes(size * 40).hex() for n, size in enumerate([1] * 100 + [1000] * 10)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    sources = [{"name": "a", "weight": 1.0, "files": [str(tmp_path / "a.txt")]}]
    settings = {**recipe, "sources": sources, "target_bytes": 100_000, "shard_bytes": 3000}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(settings))
    command = f"ulimit -f 20; exec {sys.executable} -m mulfact.data_builders.corpus --config {tmp_path / 'a.yaml'}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "train-00001.parquet cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    inode = (tmp_path / "corpus.shards" / "train-00000.parquet").stat().st_ino
    assert (build(**settings) / "train-00000.parquet").stat().st_ino == inode


def test_finished_shards_outlive_a_failed_check(build: Build, tmp_path: Path) -> None:
    message = refused(build, min_fact_count=10_000)
    assert "81 of the 81 facts occur less than corpus.min_fact_count=10000" in message
    assert "9x9 (" in message
    inode = (tmp_path / "corpus.shards" / "train-00000.parquet").stat().st_ino
    assert (build(min_fact_count=0) / "train-00000.parquet").stat().st_ino == inode


def test_a_source_that_ends_early_says_how_much_it_gave(build: Build, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n\n".join(f"Paragraph {n} of few." for n in range(100)))
    sources = [
        {"name": "synthetic", "weight": 1.0},
        {"name": "few", "weight": 1.0, "files": [str(tmp_path / "few.txt")]},
    ]
    for num_workers in (1, 2):
        message = refused(build, sources=sources, num_workers=num_workers)
        assert "source few ended before its share was full: few gave 100 documents" in message
        assert "of its share of 40,000" in message
    assert not (tmp_path / "corpus").exists()


def test_a_source_that_is_too_small_says_what_it_can_carry(build: Build, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("\n\n".join(f"Paragraph {n} of few, in some words." for n in range(700)))
    few = {"name": "few", "weight": 1.0, "files": [str(tmp_path / "few.txt")]}
    synthetic = {"name": "synthetic", "weight": 3.0}
    message = refused(build, sources=[synthetic, {**few, "weight": 9.0}])
    given = int(re.findall(r"few gave 700 documents, ([\d,]+) bytes", message)[0].replace(",", ""))
    largest = float(re.findall(r"lower its weight to ([\d.]+), which is what it can carry", message)[0])
    assert given * 0.98 < 80_000 * largest / (3.0 + largest) <= given
    readings = int(re.findall(r"set repeat: (\d+) to read", message)[0])
    assert readings == math.ceil(1.05 * 60_000 / given)
    build(sources=[synthetic, {**few, "weight": largest}])
    build(sources=[synthetic, {**few, "weight": 9.0, "repeat": readings}])
    alone = refused(build, sources=[few])
    assert f"lower corpus.target_bytes to {given:,}" in alone
    none = refused(build, sources=[synthetic, {**few, "min_characters": 1000}])
    assert "(left out: {'duplicates': 0, 'too_short': 700}); correct its filters" in none


def test_a_small_source_is_read_again_where_its_recipe_says_so(build: Build, tmp_path: Path) -> None:
    texts = [f"Paragraph {n}: " + "word " * 20 + "end" for n in range(200)]
    (tmp_path / "few.txt").write_text("\n\n".join(texts))
    sources = [
        {"name": "few", "weight": 1.0, "files": [str(tmp_path / "few.txt")], "repeat": 3},
        {"name": "synthetic", "weight": 1.0},
    ]
    folder = build(sources=sources, target_bytes=110_000, shard_bytes=10_000)
    times = Counter(row["text"] for row in documents(folder, "train") if row["source"] == "few")
    held_out = [row["text"] for row in documents(folder, "validation") if row["source"] == "few"]
    assert set(times.values()) == {2, 3}
    assert {*times, *held_out} == set(texts)
    assert not set(times) & set(held_out)
    assert len(held_out) == len(set(held_out)) > 0
    counted = json.loads((folder / "manifest.json").read_text())["sources"]["few"]
    assert counted["repeated"] == times.total() - len(times)
    assert counted["skipped"]["held_out_again"] > 0
    assert counted["duplicates"] == 0
    two = build(sources=sources, target_bytes=110_000, shard_bytes=10_000, num_workers=2, output_dir=f"{folder}-two")
    assert shards(two) == shards(folder)


def test_a_source_that_fails_says_how_much_it_gave(build: Build, tmp_path: Path) -> None:
    lines = [json.dumps({"text": f"Document {n}: " + "word " * 40}) for n in range(300)]
    (tmp_path / "bad.jsonl").write_text("\n".join([*lines[:100], "{broken", *lines[100:]]))
    entry = {"name": "bad", "weight": 1.0, "files": [str(tmp_path / "bad.jsonl")]}
    messages = {refused(build, sources=[entry], target_bytes=40_000, num_workers=n) for n in (1, 2)}
    assert len(messages) == 1
    message = messages.pop()
    assert "bad.jsonl, line 101: not JSON" in message
    assert "[bad gave " in message
    assert "% of its share of 40,000]" in message
    folder = build(sources=[{**entry, "bad_records": "skip"}], target_bytes=40_000)
    assert json.loads((folder / "manifest.json").read_text())["sources"]["bad"]["skipped"] == {"not_json": 1}


def test_duplicates_are_left_out_counted_and_limited(build: Build, tmp_path: Path) -> None:
    texts = [f"Text {n % 150}: " + "word " * 40 for n in range(200)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    sources = [{"name": "a", "weight": 1.0, "files": [str(tmp_path / "a.txt")]}]
    target = sum(len(text) for text in texts[:150] if hash64(text.encode()) >= 0.1 * 2**64) - 100
    lines = [json.dumps({"text": text}) for text in texts]
    (tmp_path / "a.txt").write_text("\n\n".join([*texts[:100], *texts[:50], *texts[100:150]]))
    folder = build(sources=sources, target_bytes=target)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["duplicates"]["documents"] == manifest["sources"]["a"]["duplicates"] == 50
    assert len(lines) == 200
    message = refused(build, sources=sources, target_bytes=target, max_duplicate_fraction=0.1)
    assert "50 documents (25." in message
    assert "by source {'a': 50}" in message


def test_overlap_with_a_benchmark_is_refused_dropped_or_allowed(build: Build, tmp_path: Path) -> None:
    item = "Janet has sixteen ducks that lay eggs each day and she sells what is left over at the market."
    (tmp_path / "benchmarks").mkdir()
    for name in ("gsm8k_cot", "svamp"):
        row = {"id": f"{name}-7", "prompt": f"Question: {item if name == 'gsm8k_cot' else 'How many?'}\nAnswer:"}
        (tmp_path / "benchmarks" / f"{name}.jsonl").write_text(json.dumps(row) + "\n")
    texts = [f"Story {n}. " + (f"{item} The end." if n == 70 else "word " * 30) for n in range(300)]
    (tmp_path / "a.txt").write_text("\n\n".join(texts))
    changes: dict[str, Any] = {
        "sources": [{"name": "a", "weight": 1.0, "files": [str(tmp_path / "a.txt")]}],
        "target_bytes": 40_000,
        "benchmarks": str(tmp_path / "benchmarks"),
        "validation_fraction": 0.01,
    }
    message = refused(build, **changes)
    assert "1 training texts share 13 consecutive words with 1 items of the benchmark gsm8k_cot, such as" in message
    assert "corpus.allow_overlap" in message

    allowed = build(**changes, allow_overlap=["gsm8k_cot"])
    report = json.loads((allowed / "manifest.json").read_text())["overlap"]["benchmarks"]
    assert (report["gsm8k_cot"]["overlapping_texts"], report["svamp"]["overlapping_texts"]) == (1, 0)
    assert any(item in row["text"] for row in documents(allowed, "train"))

    dropped = build(**changes, overlap="drop")
    manifest = json.loads((dropped / "manifest.json").read_text())
    assert manifest["sources"]["a"]["overlapping"] == 1
    assert (manifest["overlap"]["rule"], manifest["overlap"]["allowed"]) == ("drop", [])
    assert manifest["overlap"]["benchmarks"]["gsm8k_cot"]["overlapping_texts"] == 1
    assert not any(item in row["text"] for row in documents(dropped, "train"))


def test_a_whole_build_shows_nothing_of_the_probes(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = defaults("benchmarks", output_dir=str(tmp_path / "benchmarks"), probe_items=200)
    (tmp_path / "benchmarks.yaml").write_text(yaml.safe_dump(settings))
    monkeypatch.setattr(sys, "argv", ["benchmarks.py", "--config", str(tmp_path / "benchmarks.yaml")])
    benchmarks.main()
    synthetic = defaults("corpus.synthetic", max_steps=4, max_operand=50, max_digits=2, largest_table=20)
    sources = [{"name": "synthetic", "weight": 1.0}]
    changes = {"target_bytes": 2_000_000, "shard_bytes": 500_000, "validation_fraction": 0.05, "min_fact_count": 20}
    folder = build(sources=sources, synthetic=synthetic, benchmarks=settings["output_dir"], overlap="drop", **changes)
    texts = [row["text"] for split in ("train", "validation") for row in documents(folder, split)]
    products = set().union(*map(products_in, texts))
    expressions = set().union(*map(expressions_in, texts))
    assert len(products) > 3000  # or the reader has gone blind
    assert len(expressions) > 1000
    assert [pair for pair in products if pair_is_held_out(*pair)] == []

    def items(name: str) -> list[dict[str, Any]]:
        return [row for _, row in read_jsonl(tmp_path / "benchmarks" / f"{name}.jsonl")]

    for row in items("digits_2x1") + items("digits_2x2"):
        left, right = row["operands"]
        assert not {(left, right), (right, left)} & products
    asked = {row["id"].removeprefix("mixed-") for row in items("mixed")}
    assert len(asked) == 200
    assert not asked & expressions
    together = "\n\n".join(texts)
    for row in items("gsm8k_cot"):
        assert question_of(row["prompt"]) not in together
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["duplicates"]["fraction"] < 0.01
    assert manifest["generator"]["templates"] >= 60
    assert manifest["generator"]["sample"]["duplicates"] < 0.01
    assert manifest["generator"]["sample"]["distinct_ngrams"]["4"] > 10_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target_bytes": 0}, "corpus.target_bytes is 0"),
        ({"validation_fraction": 1.5}, "corpus.validation_fraction is 1.5"),
        ({"overlap": "ignore"}, "corpus.overlap is 'ignore': expected refuse or drop"),
        ({"sources": []}, "expected 1 to 256 sources"),
        ({"sources": [{"name": "synthetic", "weight": 1}] * 2}, "each with its own name"),
        ({"sources": [{"name": "a", "weight": 1, "files": ["nowhere/*.txt"]}]}, "nowhere/*.txt matches no file"),
        ({"synthetic": {"table": 1.0}}, "corpus.synthetic: unknown key 'table'; did you mean 'tables'"),
        ({"benchmarks": "nowhere"}, "nowhere is missing"),
        ({"num_workers": 0}, "num_workers is 0"),
        ({"tagret_bytes": 5}, "unknown key 'tagret_bytes'; did you mean 'target_bytes'"),
    ],
)
def test_wrong_recipes_are_named(build: Build, changes: dict[str, Any], message: str) -> None:
    assert message in refused(build, **changes)
