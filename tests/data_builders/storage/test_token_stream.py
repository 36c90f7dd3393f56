"""The stream is the permuted documents, one behind the other, whatever window one looks through."""

import json
from pathlib import Path

import numpy as np
import pytest

from mulfact.data_builders.storage.permutation import permutation
from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError

LENGTHS = [[5, 1, 300, 2], [40, 7], [1, 1, 63, 90, 12]]  # tokens of the documents of three shards, eos included


def write_tokens(folder: Path, lengths: list[list[int]], dtype: str = "uint16", first: int = 10) -> list[np.ndarray]:
    """Write shards of documents whose ids count up from `first`, each ending in eos 0; return the documents."""
    folder.mkdir()
    documents = []
    for shard, sizes in enumerate(lengths):
        written = []
        for size in sizes:
            number = len(documents) + len(written)
            ids = (first + number + np.arange(size)).astype(dtype)
            ids[-1] = 0
            written.append(ids)
        np.concatenate(written).tofile(folder / f"train-{shard:05d}.bin")
        numbers = np.arange(len(documents), len(documents) + len(written))
        np.savez(
            folder / f"train-{shard:05d}.index.npz",
            tokens=np.array(sizes, np.int32),
            bytes=(100 + numbers).astype(np.int32),
            fact_free=numbers % 2 == 0,
            source=(numbers % 3).astype(np.uint8),
        )
        documents += written
    names = [f"train-{shard:05d}" for shard in range(len(lengths))]
    splits = {"train": {"shards": names}, "validation": {"shards": []}}
    (folder / "manifest.json").write_text(json.dumps({"dtype": dtype, "splits": splits}))
    return documents


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tokens(tmp_path / "tokens", LENGTHS)
    return tmp_path / "tokens"


@pytest.mark.parametrize("dtype", ["uint16", "uint32"])
@pytest.mark.parametrize("seed", [None, 0, 1])
@pytest.mark.parametrize("length", [1, 7, 64, 500])
def test_windows_are_the_permuted_documents(tmp_path: Path, seed: int | None, length: int, dtype: str) -> None:
    first = 10 if dtype == "uint16" else 100_000
    documents = write_tokens(tmp_path / "tokens", LENGTHS, dtype, first)
    stream = TokenStream(tmp_path / "tokens", "train", seed)
    order = range(len(documents)) if seed is None else permutation(len(documents), seed, 0)
    whole = np.concatenate([documents[index] for index in order])
    assert (stream.documents, stream.tokens) == (len(documents), len(whole))
    assert stream.len_windows(length) == (len(whole) - 1) // length
    for index in range(stream.len_windows(length)):
        window = stream.window(index, length)
        assert window.dtype == np.int64
        assert window.tolist() == whole[index * length : index * length + length + 1].tolist()


def test_epochs_follow_each_other_in_orders_of_their_own(tmp_path: Path) -> None:
    documents = write_tokens(tmp_path / "tokens", LENGTHS)
    stream = TokenStream(tmp_path / "tokens", "train", seed=3, allow_epochs=True)
    orders = [permutation(len(documents), 3, epoch) for epoch in range(4)]
    assert len({order.tobytes() for order in orders}) == 4
    whole = np.concatenate([documents[index] for order in orders for index in order])
    length = 100
    windows = range((len(whole) - 1) // length)
    for index in [*windows, *reversed(windows)]:  # a run that is resumed starts anywhere
        assert stream.window(index, length).tolist() == whole[index * length : index * length + length + 1].tolist()
    # One window may be longer than an epoch.
    assert stream.window(0, 1200).tolist() == whole[:1201].tolist()


def test_one_epoch_is_all_there_is_unless_allowed(folder: Path) -> None:
    stream = TokenStream(folder, "train", seed=0)
    last = stream.len_windows(64) - 1
    stream.window(last, 64)
    with pytest.raises(UserError, match=rf"holds {last + 1} windows of 64 tokens in train; window {last + 1} asks"):
        stream.window(last + 1, 64)


def test_arms_read_the_same_documents_in_the_same_order(tmp_path: Path) -> None:
    write_tokens(tmp_path / "baseline", LENGTHS)
    write_tokens(tmp_path / "mulfact", [[max(1, size - size // 3) for size in sizes] for sizes in LENGTHS])
    arms = [TokenStream(tmp_path / arm, "train", seed=5).spans() for arm in ("baseline", "mulfact")]
    assert arms[0].bytes.tolist() == arms[1].bytes.tolist()
    assert arms[0].end.tolist() != arms[1].end.tolist()


@pytest.mark.parametrize("seed", [None, 4])
def test_spans_find_every_document(tmp_path: Path, seed: int | None) -> None:
    documents = write_tokens(tmp_path / "tokens", LENGTHS)
    stream = TokenStream(tmp_path / "tokens", "train", seed)
    spans = stream.spans()
    ids = stream.window(0, stream.tokens - 1)
    for start, end, size, fact_free, source in zip(
        spans.start, spans.end, spans.bytes, spans.fact_free, spans.source, strict=True
    ):
        number = int(size) - 100
        assert ids[start:end].tolist() == documents[number].tolist()
        assert (bool(fact_free), int(source)) == (number % 2 == 0, number % 3)
    assert spans.start[0] == 0
    assert spans.end[-1] == stream.tokens


def test_what_is_missing_or_cut_short_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest.json"):
        TokenStream(tmp_path / "nowhere", "train", 0)
    with pytest.raises(UserError, match="has no split 'test'; it has train, validation"):
        TokenStream(folder, "test", 0)
    with pytest.raises(UserError, match="'validation' holds no document"):
        TokenStream(folder, "validation", 0)
    shard = folder / "train-00001.bin"
    shard.write_bytes(shard.read_bytes()[:-4])
    with pytest.raises(UserError, match=r"train-00001\.bin has 90 bytes, its index says 94: it was cut short"):
        TokenStream(folder, "train", 0)
    index = folder / "train-00002.index.npz"
    index.write_bytes(index.read_bytes()[:50])
    with pytest.raises(UserError, match=r"train-00002\.index\.npz cannot be read"):
        TokenStream(folder, "train", 0)
