"""Validation in bits per byte, of the text as it is and of its canonical text: the loss that two tokenizers can share.

bits per byte = sum of the loss of all tokens of some documents, their end-of-text tokens included, in bits
                / bytes of the text of these documents in UTF-8.

A tokenizer that reads `6 × 9` and `6*9` as the same ids never pays for saying which of them stood there, so bits per
byte of the text as it is flatter it. The canonical text (tokenizers/canonical.py) has one spelling, which every arm can
write; bytes are counted on it. The documents are chosen by their raw bytes, so every arm scores the same ones.
"""

import math
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError
from mulfact.modeling.gpt2.loss import IGNORED
from mulfact.modeling.gpt2.model import Objective


class ValidationText:
    """The first documents of a stream as full windows."""

    def __init__(self, stream: TokenStream, documents: int, eos_token_id: int, length: int) -> None:
        spans = stream.spans()
        self.bytes = spans.bytes[:documents].astype(np.int64)
        self.tokens = int(spans.end[documents - 1])

        # Each token is predicted once, the first one from an end-of-text token before it.
        labels = stream.window(0, self.tokens - 1)
        windows = math.ceil(self.tokens / length)
        padding = windows * length - self.tokens
        inputs = np.concatenate([[eos_token_id], labels[:-1], np.full(padding, eos_token_id)])
        owners = np.repeat(np.arange(documents), (spans.end - spans.start)[:documents])
        self.inputs = torch.from_numpy(inputs.reshape(windows, length))
        self.labels = torch.from_numpy(np.pad(labels, (0, padding), constant_values=IGNORED).reshape(windows, length))
        self.owners = torch.from_numpy(np.pad(owners, (0, padding)).reshape(windows, length))

    def document_losses(self, objective: Objective, accelerator: Accelerator, batch_size: int) -> np.ndarray:
        """Return the summed loss in nats of each document; the processes share the windows."""
        totals = torch.zeros(len(self.bytes), dtype=torch.float64, device=accelerator.device)
        starts = range(0, len(self.inputs), batch_size)
        for start in starts[accelerator.process_index :: accelerator.num_processes]:
            rows = slice(start, start + batch_size)
            inputs, labels = self.inputs[rows].to(accelerator.device), self.labels[rows].to(accelerator.device)
            losses = objective.token_losses(inputs, labels).double().flatten()
            totals.index_add_(0, self.owners[rows].to(accelerator.device).flatten(), losses)
        return accelerator.reduce(totals, "sum").cpu().numpy()


class ValidationSet:
    """The first documents of the validation stream with at most `raw_bytes` bytes of text, and their canonical text.

    Raises UserError when the split holds fewer bytes, or not a single document fits.
    """

    def __init__(
        self,
        stream: TokenStream,
        canonical: TokenStream,
        sources: list[str],
        eos_token_id: int,
        length: int,
        raw_bytes: int,
    ) -> None:
        spans = stream.spans()
        cumulative = np.cumsum(spans.bytes, dtype=np.int64)
        documents = int(np.searchsorted(cumulative, raw_bytes, side="right"))
        if cumulative[-1] < raw_bytes or documents == 0:
            raise UserError(
                f"{stream.folder}: the validation split holds {cumulative[-1]} bytes in {len(cumulative)} documents, "
                f"the first of {spans.bytes[0]} bytes, and pretrain.eval_bytes is {raw_bytes}: lower it, or raise "
                "corpus.validation_fraction"
            )
        self.fact_free = spans.fact_free[:documents]
        self.source = spans.source[:documents]
        self.sources = sources
        self.raw, self.canonical = (ValidationText(one, documents, eos_token_id, length) for one in (stream, canonical))

    def evaluate(self, objective: Objective, accelerator: Accelerator, batch_size: int) -> dict[str, Any]:
        """Return loss (nats per token of the text as it is) and bits per byte, of the text as it is and `canonical_`.

        Either of all documents, of the fact-free ones, and by source; a part without documents has None.
        """
        losses = self.raw.document_losses(objective, accelerator, batch_size)
        canonical = self.canonical.document_losses(objective, accelerator, batch_size)
        return {
            "loss": float(losses.sum() / self.raw.tokens),
            **self.bits_per_byte(losses, self.raw.bytes),
            **{f"canonical_{name}": v for name, v in self.bits_per_byte(canonical, self.canonical.bytes).items()},
        }

    def bits_per_byte(self, losses: np.ndarray, sizes: np.ndarray) -> dict[str, Any]:
        """Return bits per byte by part, from the loss in nats and the bytes of each document."""

        def of(part: np.ndarray) -> float | None:
            return float(losses[part].sum() / math.log(2) / sizes[part].sum()) if part.any() else None

        return {
            "bits_per_byte": of(np.ones(len(losses), bool)),
            "bits_per_byte_fact_free": of(self.fact_free),
            "bits_per_byte_by_source": {name: of(self.source == index) for index, name in enumerate(self.sources)},
        }
