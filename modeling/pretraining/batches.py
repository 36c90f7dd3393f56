"""Which windows of the token stream a process reads in a step: a pure function of the step.

Step s (from 1) trains on the windows [(s - 1) W, s W) of the stream, W = tokens_per_step / sequence_length. Process r
of P takes the r-th P-th of them, in micro-batches. So the global batch is the same whatever the number of processes,
and resuming needs no loader state.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.modeling.pretrain_arguments import ComputeArguments, divide_step

Batch = tuple[torch.Tensor, torch.Tensor]  # ids and the ids that follow them, both (sequences, length)


@dataclass(frozen=True)
class BatchPlan:
    """The windows of one process: `micro_batches` of `micro_batch_size` sequences of `sequence_length` tokens."""

    sequence_length: int
    windows_per_step: int
    micro_batch_size: int
    micro_batches: int
    process_index: int

    def windows(self, step: int, micro_batch: int) -> range:
        """Return the window indices of a micro-batch of this process in step `step`, counted from 1."""
        first = (step - 1) * self.windows_per_step
        first += (self.process_index * self.micro_batches + micro_batch) * self.micro_batch_size
        return range(first, first + self.micro_batch_size)


def plan_batches(arguments: ComputeArguments, num_processes: int, process_index: int) -> BatchPlan:
    """Return what process `process_index` of `num_processes` reads.

    Raises UserError when the tokens of a step cannot be divided into whole sequences, processes and micro-batches.
    """
    windows, size = divide_step(arguments, num_processes)
    micro_batches = windows // num_processes // size
    return BatchPlan(arguments.sequence_length, windows, size, micro_batches, process_index)


def read_batch(stream: TokenStream, plan: BatchPlan, step: int, micro_batch: int, device: torch.device) -> Batch:
    """Return one micro-batch on `device`; towards a GPU the copy runs beside the computation."""
    windows = [stream.window(index, plan.sequence_length) for index in plan.windows(step, micro_batch)]
    ids = torch.from_numpy(np.stack(windows))
    if device.type == "cuda":
        ids = ids.pin_memory().to(device, non_blocking=True)
    return ids[:, :-1], ids[:, 1:]


def read_step(stream: TokenStream, plan: BatchPlan, step: int, device: torch.device) -> Iterator[Batch]:
    """Yield the micro-batches of this process in step `step`."""
    for micro_batch in range(plan.micro_batches):
        yield read_batch(stream, plan, step, micro_batch, device)


class RawBytes:
    """How many bytes of raw text the first tokens of a stream stand for, interpolated inside a document."""

    def __init__(self, stream: TokenStream) -> None:
        spans = stream.spans()
        self.ends = np.concatenate([[0], spans.end])
        self.bytes = np.concatenate([[0], np.cumsum(spans.bytes, dtype=np.int64)])

    def __call__(self, tokens: int) -> int:
        """Return the bytes of the first `tokens` tokens, every epoch taken to be in the order of the first one."""
        epochs, rest = divmod(tokens, int(self.ends[-1]))
        return epochs * int(self.bytes[-1]) + round(float(np.interp(rest, self.ends, self.bytes)))
