"""The token shards as one stream in a seeded order of documents: what pretraining reads.

    stream = TokenStream("outputs/smoke/mulfact/tokens", "train", seed=0)
    stream.window(7, 256)                    # 257 ids: the eighth sequence of 256 and what follows each of its tokens

The permutation is a function of the seed, the epoch and the number of documents, so the arms of a seed read the same
documents in the same order. A document costs 20 bytes of memory, and 12 more for a second epoch that is under way.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mulfact.data_builders.storage.permutation import permutation
from mulfact.errors import UserError


@dataclass(frozen=True)
class Spans:
    """The documents of a stream in its order, an array entry each.

    `start` and `end` are positions in the stream (the eos included), `bytes` counts the raw text in UTF-8, `fact_free`
    says that it holds no 1-9 fact, `source` is an index into the manifest's sources.
    """

    start: np.ndarray
    end: np.ndarray
    bytes: np.ndarray
    fact_free: np.ndarray
    source: np.ndarray


class TokenStream:
    """The documents of one split, in the order that `seed` gives them; None: as they lie in the shards.

    The stream of an epoch holds every document once. With `allow_epochs` the next epoch follows it in an order of its
    own. Raises UserError when the folder is no finished output of data_builders/tokens.py.
    """

    def __init__(self, folder: str | Path, split: str, seed: int | None, allow_epochs: bool = False) -> None:
        self.folder, self.split, self.seed, self.allow_epochs = Path(folder), split, seed, allow_epochs
        manifest_file = self.folder / "manifest.json"
        if not manifest_file.is_file():
            raise UserError(f"{folder} holds no token shards (no manifest.json): run data_builders/tokens.py first")
        manifest = json.loads(manifest_file.read_text())
        if split not in manifest["splits"]:
            raise UserError(f"{folder} has no split {split!r}; it has {', '.join(manifest['splits'])}")
        self.shard_names: list[str] = manifest["splits"][split]["shards"]
        dtype = np.dtype(manifest["dtype"]).newbyteorder("<")
        lengths = np.concatenate([np.zeros(0, np.int32), *self._column("tokens")])
        self.starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        self.shards: list[np.ndarray] = []
        self.shard_starts = np.zeros(len(self.shard_names) + 1, np.int64)
        for number, (name, tokens) in enumerate(zip(self.shard_names, self._column("tokens"), strict=True)):
            path = self.folder / f"{name}.bin"
            expected, found = int(tokens.sum()) * dtype.itemsize, path.stat().st_size if path.is_file() else 0
            if found != expected:
                raise UserError(
                    f"{path} has {found} bytes, its index says {expected}: it was cut short; delete {folder} and run "
                    "data_builders/tokens.py again"
                )
            self.shards.append(np.memmap(path, dtype, mode="r"))
            self.shard_starts[number + 1] = self.shard_starts[number] + len(self.shards[-1])
        if self.documents == 0:
            raise UserError(f"{folder}: the split {split!r} holds no document")
        self._orders: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def documents(self) -> int:
        return len(self.starts) - 1

    @property
    def tokens(self) -> int:
        """The tokens of one epoch, an eos behind each document included."""
        return int(self.starts[-1])

    def len_windows(self, length: int) -> int:
        """Return how many windows of `length` one epoch holds, each with the token that follows it."""
        return (self.tokens - 1) // length

    def window(self, index: int, length: int) -> np.ndarray:
        """Return the `length` + 1 ids from position `index` * `length` on, int64.

        Raises UserError beyond the first epoch, unless `allow_epochs`.
        """
        if index >= self.len_windows(length) and not self.allow_epochs:
            raise UserError(
                f"{self.folder} holds {self.len_windows(length)} windows of {length} tokens in {self.split}; window "
                f"{index} asks for more: build a larger corpus, or set pretrain.allow_epochs to read it again"
            )
        ids = np.empty(length + 1, np.int64)
        filled, position = 0, index * length
        while filled <= length:
            epoch, offset = divmod(position + filled, self.tokens)
            order, ends = self._order(epoch)
            place = int(np.searchsorted(ends, offset, side="right"))
            while filled <= length and place < self.documents:
                document = int(order[place])
                start, end = int(self.starts[document]), int(self.starts[document + 1])
                start = max(start, end - (int(ends[place]) - offset))
                end = min(end, start + length + 1 - filled)
                ids[filled : filled + end - start] = self._read(start, end)
                filled += end - start
                offset += end - start
                place += 1
        return ids

    def spans(self) -> Spans:
        """Return where each document of the first epoch lies, and what is known about it."""
        order, ends = self._order(0)
        columns = {name: np.concatenate(self._column(name))[order] for name in ("bytes", "fact_free", "source")}
        return Spans(start=np.concatenate([[0], ends[:-1]]), end=ends, **columns)

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Return an epoch's documents in their order, and the position in the stream behind each."""
        if epoch not in self._orders:
            for old in [one for one in self._orders if one < epoch - 1]:
                del self._orders[old]
            if self.seed is None:
                self._orders[epoch] = np.arange(self.documents), self.starts[1:]
            else:
                order = permutation(self.documents, self.seed, epoch)
                self._orders[epoch] = order, np.cumsum(np.diff(self.starts)[order])
        return self._orders[epoch]

    def _read(self, start: int, end: int) -> np.ndarray:
        """Return the ids at positions [start, end) of the shards; they belong to one document, so to one shard."""
        shard = int(np.searchsorted(self.shard_starts, start, side="right")) - 1
        first = int(self.shard_starts[shard])
        return self.shards[shard][start - first : end - first]

    def _column(self, name: str) -> list[np.ndarray]:
        columns = []
        for shard in self.shard_names:
            path = self.folder / f"{shard}.index.npz"
            try:
                with np.load(path) as index:
                    columns.append(index[name])
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                raise UserError(
                    f"{path} cannot be read ({error}); delete {self.folder} and run data_builders/tokens.py again"
                ) from error
        return columns
