"""The tokens command: shards hold the corpus, in every arm the same documents, and say truly what is in them."""

import gc
import json
import re
import shutil
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pytest
import yaml
from recipe_defaults import defaults
from tokenizers import Tokenizer

from mulfact.data_builders import tokens as stage
from mulfact.data_builders.mixture.documents import count_facts
from mulfact.data_builders.sources.blocks import SyntheticBlock
from mulfact.data_builders.storage.corpus_files import write_documents
from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.data_builders.synthetic.documents import SyntheticSettings
from mulfact.provenance import write_json
from mulfact.recipe import compose
from mulfact.tokenizers import base, build
from mulfact.tokenizers.rewrite import reference_rewriter

SOURCES = ["web", "drills"]
ROWS = 70  # documents of a file


def write_corpus(folder: Path) -> Path:
    """Write a corpus of three training files and one for validation: plain sentences and drills in turn."""
    folder.mkdir(parents=True)
    manifest: dict[str, Any] = {"sources": {name: {} for name in SOURCES}, "splits": {}}
    for split, files in (("train", 3), ("validation", 1)):
        written = []
        for number in range(files):
            texts = [text_of(split, number, row) for row in range(ROWS)]
            facts = np.bincount(count_facts(texts)[:, 0], count_facts(texts)[:, 2], len(texts)).astype(int).tolist()
            name = f"{split}-{number:05d}.parquet"
            write_documents(folder / name, texts, [SOURCES[row % 2] for row in range(ROWS)], facts)
            written.append({"file": name, "documents": ROWS, "bytes": sum(len(text.encode()) for text in texts)})
        manifest["splits"][split] = {"shards": written}
    write_json(folder / "manifest.json", manifest)
    return folder


def text_of(split: str, number: int, row: int) -> str:
    if row % 2 == 0:
        return f"This is the {split} file {number}; its row {row} says: größer ist nicht besser."
    a, b = 1 + row % 9, 1 + (row + number) // 9 % 9
    return f"{a}*{b}={a * b}\n{b} × {a} = {a * b}\nrow {row}"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("shared") / "smoke" / "corpus")


@pytest.fixture(scope="module")
def tokenizers(corpus: Path, repository: Path) -> dict[str, Path]:
    """The tokenizers of two arms, built by the real commands from their recipes."""
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        for arm in ("baseline", "mulfact"):
            small = ["base_tokenizer.vocab_size=400", "tokenizer.vocab_size=512"]
            stages = compose(repository / "recipes", "smoke", arm, 0, small, {"outputs": str(corpus.parent.parent)})
            for stage, command in (("base_tokenizer", base), ("tokenizer", build)):
                if stage == "tokenizer" or not folders:
                    run(command.main, stages[stage], corpus.parent / f"{stage}.yaml", patch)
            folders[arm] = Path(stages["tokenizer"]["output_dir"])
    return folders


def run(main: Callable[[], None], recipe: dict[str, Any], path: Path, patch: pytest.MonkeyPatch) -> None:
    path.write_text(yaml.safe_dump(recipe))
    patch.setattr(sys, "argv", ["command", "--config", str(path)])
    main()


@pytest.fixture
def encode(
    corpus: Path, tokenizers: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Runs the command for an arm with changes to the recipe; returns the folder of the tokens."""

    def encode(arm: str, **changes: Any) -> Path:
        places = {"output_dir": str(tmp_path / arm), "corpus": str(corpus), "tokenizer": str(tokenizers[arm])}
        recipe = defaults("tokens", **places | {"max_steps": None} | changes)
        run(stage.main, recipe, tmp_path / "tokens.yaml", monkeypatch)
        return Path(recipe["output_dir"])

    return encode


def refused(encode: Callable[..., Path], arm: str, **changes: Any) -> str:
    """Returns the message with which the command ends."""
    with pytest.raises(SystemExit) as exit_:
        encode(arm, **changes)
    return str(exit_.value.code)


def data_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".bin", ".npz")}


@pytest.mark.parametrize("arm", ["baseline", "mulfact"])
def test_shards_decode_to_the_corpus(encode: Callable[..., Path], tokenizers: dict[str, Path], arm: str) -> None:
    folder = encode(arm)
    manifest = json.loads((folder / "manifest.json").read_text())
    tokenizer = Tokenizer.from_file(str(tokenizers[arm] / "tokenizer.json"))
    assert manifest["dtype"] == "uint16"
    assert manifest["sources"] == SOURCES
    for split, files in (("train", 3), ("validation", 1)):
        stream = TokenStream(folder, split, seed=None)
        spans = stream.spans()
        ids = stream.window(0, stream.tokens - 1)
        texts = [text_of(split, number, row) for number in range(files) for row in range(ROWS)]
        assert stream.documents == manifest["splits"][split]["documents"] == len(texts)
        assert stream.tokens == manifest["splits"][split]["tokens"]
        for number, text in enumerate(texts):
            document = ids[spans.start[number] : spans.end[number]].tolist()
            assert document[-1] == manifest["eos_token_id"]
            assert document[:-1] == tokenizer.encode(text).ids
        assert spans.bytes.tolist() == [len(text.encode()) for text in texts]
        assert spans.fact_free.tolist() == [number % 2 == 0 for number in range(len(texts))]
        assert spans.source.tolist() == [number % 2 for number in range(len(texts))]
        said = manifest["splits"][split]
        assert said["bytes"] == spans.bytes.sum()
        assert said["tokens_per_byte"] == said["tokens"] / said["bytes"]
        lengths = sorted((spans.end - spans.start).tolist())
        assert said["length_quantiles"]["0.0"] == lengths[0]
        assert said["length_quantiles"]["1.0"] == lengths[-1]
        assert lengths[len(lengths) // 2 - 1] <= said["length_quantiles"]["0.5"] <= lengths[len(lengths) // 2]


def test_fact_counts_are_those_of_the_training_text(encode: Callable[..., Path]) -> None:
    manifest = json.loads((encode("mulfact") / "manifest.json").read_text())
    texts = [text_of("train", number, row) for number in range(3) for row in range(ROWS)]
    counts = sum((reference_rewriter().count(text) for text in texts), Counter())
    assert {token: count for token, count in manifest["fact_counts"].items() if count} == counts
    assert len(manifest["fact_counts"]) == 81
    train = manifest["splits"]["train"]
    assert train["fact_tokens"] == counts.total()
    assert manifest["fact_share"] == counts.total() / train["tokens"]
    baseline = json.loads((encode("baseline") / "manifest.json").read_text())
    assert baseline["fact_counts"] == {}
    assert baseline["splits"]["train"]["fact_tokens"] == 0
    assert baseline["splits"]["train"]["tokens"] > train["tokens"]


def test_arms_hold_the_same_documents(encode: Callable[..., Path]) -> None:
    arms = [TokenStream(encode(arm), "train", seed=2).spans() for arm in ("baseline", "mulfact")]
    for column in ("bytes", "fact_free", "source"):
        assert getattr(arms[0], column).tolist() == getattr(arms[1], column).tolist()
    # Text without a fact has the same tokens in every arm.
    lengths = [(arm.end - arm.start)[arm.fact_free].tolist() for arm in arms]
    assert lengths[0] == lengths[1]


def test_workers_change_nothing(encode: Callable[..., Path], tmp_path: Path) -> None:
    assert data_files(encode("mulfact", num_workers=2)) == data_files(encode("mulfact", output_dir=str(tmp_path / "b")))


def test_encoding_keeps_nothing_of_a_shard(tokenizers: dict[str, Path], tmp_path: Path) -> None:
    """What a process holds after ten shards is what it held after five, though no two shards have the same text."""
    size, tasks = 100_000, []
    for number in range(10):
        texts = SyntheticBlock({}, SyntheticSettings(**defaults("corpus.synthetic")), seed=number, size=size).texts()
        path = tmp_path / f"train-{number:05d}.parquet"
        write_documents(path, texts, ["web"] * len(texts), [0] * len(texts))
        tasks.append(stage.Task(path, tmp_path / path.stem, tokenizers["mulfact"], ("web",), "uint16", 0, ()))
    del texts

    def held_after(some: list[stage.Task]) -> tuple[int, int]:
        for task in some:
            stage.encode_shard(task)
        gc.collect()
        return tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes(), psutil.Process().memory_info().rss

    tracemalloc.start()
    python_early, process_early = held_after(tasks[:5])
    python_late, process_late = held_after(tasks[5:])
    tracemalloc.stop()
    # Their text alone would be 500 kB more, its ids some megabytes, and the tokenizer's own records tens of them.
    assert python_late - python_early < size
    assert process_late - process_early < 20_000_000


def test_an_interrupted_build_encodes_only_what_is_missing(
    encode: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = data_files(encode("mulfact", output_dir=str(tmp_path / "whole")))
    done = []
    original = stage.encode_shard

    def encode_two(task: stage.Task) -> None:
        if len(done) == 2:
            (task.destination.with_name(task.destination.name + ".bin")).write_bytes(b"half a shard")
            raise KeyboardInterrupt
        original(task)
        done.append(task.destination.name)

    monkeypatch.setattr(stage, "encode_shard", encode_two)
    assert "interrupted" in refused(encode, "mulfact")
    assert not (tmp_path / "mulfact").exists()
    done.append("so that the third call writes")
    folder = encode("mulfact")
    last = ["train-00002", "validation-00000", "canonical-00000"]
    assert done == ["train-00000", "train-00001", "so that the third call writes", *last]
    assert data_files(folder) == expected
    assert not (tmp_path / "mulfact.shards").exists()


def test_the_manifest_tells_the_epochs_that_pretraining_reads(
    encode: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = encode("mulfact")
    content = json.loads((folder / "manifest.json").read_text())
    tokens, inode = content["splits"]["train"]["tokens"], (folder / "train-00000.bin").stat().st_ino
    assert content["pretraining"] == {"tokens": None, "epochs": None}

    def encoded_again(_: stage.Task) -> None:
        raise AssertionError("the shards of the same corpus and tokenizer are there")

    monkeypatch.setattr(stage, "encode_shard", encoded_again)
    half = encode("mulfact", max_steps=tokens // 20, tokens_per_step=10)
    assert json.loads((half / "manifest.json").read_text())["pretraining"]["epochs"] == pytest.approx(0.5, abs=0.01)
    message = refused(encode, "mulfact", target_tokens=3 * tokens)
    assert f"{tokens:,} training tokens in this arm, and pretraining reads {3 * tokens:,}, which are 3.00" in message
    more = encode("mulfact", target_tokens=3 * tokens, allow_epochs=True)
    content = json.loads((more / "manifest.json").read_text())
    assert content["pretraining"] == {"tokens": 3 * tokens, "epochs": 3.0}
    assert (more / "train-00000.bin").stat().st_ino == inode


def test_too_few_fact_tokens_are_refused_only_where_there_are_any(encode: Callable[..., Path]) -> None:
    assert "tokens.min_fact_share asks for 0.5" in refused(encode, "mulfact", min_fact_share=0.5)
    encode("baseline", min_fact_share=0.5)


def test_a_large_vocabulary_takes_four_bytes(
    encode: Callable[..., Path], tokenizers: dict[str, Path], tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.mkdir()
    for name in ("tokenizer.json", "facts.json"):
        (large / name).write_bytes((tokenizers["baseline"] / name).read_bytes())
    facts = json.loads((large / "facts.json").read_text())
    write_json(large / "facts.json", {**facts, "vocab_size": 2**16 + 64})
    wide = encode("baseline", tokenizer=str(large))
    narrow = encode("baseline", output_dir=str(tmp_path / "narrow"))
    assert json.loads((wide / "manifest.json").read_text())["dtype"] == "uint32"
    assert (
        np.fromfile(wide / "train-00000.bin", "<u4").tolist() == np.fromfile(narrow / "train-00000.bin", "<u2").tolist()
    )
    streams = [TokenStream(folder, "train", 0).window(3, 50).tolist() for folder in (wide, narrow)]
    assert streams[0] == streams[1]


def test_bad_inputs_are_named(encode: Callable[..., Path], corpus: Path, tmp_path: Path) -> None:
    assert "nowhere is missing" in refused(encode, "mulfact", corpus="nowhere")
    bad = tmp_path / "bad"
    bad.mkdir()
    texts = ["fine", "not <|endoftext|> fine"]
    write_documents(bad / "train-00000.parquet", texts, ["web"] * 2, [0, 0])
    shard = {"file": "train-00000.parquet", "documents": 2, "bytes": 26}
    splits = {"train": {"shards": [shard]}, "validation": {"shards": []}}
    write_json(bad / "manifest.json", {"sources": {"web": {}}, "splits": splits})
    assert "train-00000.parquet: a document spells <|endoftext|>" in refused(encode, "baseline", corpus=str(bad))
    (bad / "train-00000.parquet").write_bytes(b"cut short")
    assert "train-00000.parquet cannot be read" in refused(encode, "baseline", corpus=str(bad))


def test_the_arm_of_the_documentation_needs_text_that_holds_its_words(
    encode: Callable[..., Path],
    corpus: Path,
    tokenizers: dict[str, Path],
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(repository / "recipes", tmp_path / "recipes")
    text = (repository / "docs" / "adding_an_arm.md").read_text()
    arm = re.search(r"```yaml\n# recipes/arms/fractions.yaml\n(.*?)```", text, re.DOTALL)
    assert arm
    (tmp_path / "recipes" / "arms" / "fractions.yaml").write_text(arm[1])
    small = ["base_tokenizer.vocab_size=400", "tokenizer.vocab_size=512"]
    outputs = {"outputs": str(corpus.parent.parent)}
    recipe = compose(tmp_path / "recipes", "smoke", "fractions", 0, small, outputs)["tokenizer"]
    run(build.main, recipe, tmp_path / "tokenizer.yaml", monkeypatch)
    monkeypatch.setitem(tokenizers, "fractions", Path(recipe["output_dir"]))
    message = refused(encode, "fractions", min_fact_share=0.001)
    assert "add text that holds your tokens' patterns to corpus.sources" in message
    assert "lower the share in every arm" in message
    assert (encode("fractions", min_fact_share=0) / "manifest.json").is_file()
