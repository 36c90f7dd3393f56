"""Validation in bits per byte of raw text: the one loss that two tokenizers can share.

bits per byte = sum of the loss of all tokens of some documents, their end-of-text tokens included, in bits
                / bytes of the raw text of these documents in UTF-8.

The documents are chosen by their raw bytes, so every arm scores the same ones.
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


class ValidationSet:
    """The first documents of the validation stream with at most `raw_bytes` bytes of text, as full windows.

    Raises UserError when the split holds fewer bytes, or not a single document fits.
    """

    def __init__(self, stream: TokenStream, sources: list[str], eos_token_id: int, length: int, raw_bytes: int) -> None:
        spans = stream.spans()
        cumulative = np.cumsum(spans.bytes, dtype=np.int64)
        documents = int(np.searchsorted(cumulative, raw_bytes, side="right"))
        if cumulative[-1] < raw_bytes or documents == 0:
            raise UserError(
                f"{stream.folder}: the validation split holds {cumulative[-1]} bytes in {len(cumulative)} documents, "
                f"the first of {spans.bytes[0]} bytes, and pretrain.eval_bytes is {raw_bytes}: lower it, or raise "
                "corpus.validation_fraction"
            )
        self.bytes = spans.bytes[:documents].astype(np.int64)
        self.fact_free = spans.fact_free[:documents]
        self.source = spans.source[:documents]
        self.sources = sources
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

    def evaluate(self, objective: Objective, accelerator: Accelerator, batch_size: int) -> dict[str, Any]:
        """Return loss (nats per token) and bits per byte: of all documents, of the fact-free ones, and by source.

        A part without documents has None.
        """
        losses = self.document_losses(objective, accelerator, batch_size)
        everything = np.ones(len(losses), bool)

        def bits_per_byte(part: np.ndarray) -> float | None:
            return float(losses[part].sum() / math.log(2) / self.bytes[part].sum()) if part.any() else None

        return {
            "loss": float(losses.sum() / self.tokens),
            "bits_per_byte": bits_per_byte(everything),
            "bits_per_byte_fact_free": bits_per_byte(self.fact_free),
            "bits_per_byte_by_source": {
                name: bits_per_byte(self.source == index) for index, name in enumerate(self.sources)
            },
        }
