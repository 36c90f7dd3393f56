"""The loss of the output head on this machine's CPU: ours in chunks, torch's own in chunks, and the plain one.

    python benchmarks/output_head.py --repeats 5 --shapes smoke
    python benchmarks/output_head.py --repeats 3

A round takes every implementation once, in turn, forward and backward in float32; a ratio is the median over rounds of
an implementation's CPU seconds to those of ours in the same round. Memory is the peak above what stood before the call,
of a process that does nothing else.
"""

import argparse
import gc
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mulfact.modeling.gpt2.loss import IGNORED, chunk_size, linear_cross_entropy

# Tokens, width, vocabulary: a micro-batch of smoke, and parts of one that a core computes in seconds.
SHAPES = {"smoke": (8192, 128, 2048), "pilot": (2048, 512, 8192), "gpt2": (256, 768, 50688)}
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def torchs_own(**options: object) -> Loss:
    chosen = torch.nn.LinearCrossEntropyOptions(**options)  # type: ignore[arg-type]
    return lambda hidden, weight, labels: F.linear_cross_entropy(
        hidden, weight, labels, ignore_index=IGNORED, options=chosen
    )


def in_our_chunks(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return torchs_own(batch_chunk_size=chunk_size(hidden, weight), chunking_method=None)(hidden, weight, labels)


IMPLEMENTATIONS: dict[str, Loss] = {
    "chunked (ours)": lambda *tensors: linear_cross_entropy(*tensors, "chunked"),  # type: ignore[call-arg]
    "torch, as it chooses": torchs_own(),
    "torch, in our chunks": in_our_chunks,
    "torch, compact": torchs_own(acc_policy="compact"),
    "plain": lambda *tensors: linear_cross_entropy(*tensors, "plain"),  # type: ignore[call-arg]
}


def inputs(shape: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return hidden states, weight and labels; a tenth of the labels is not counted."""
    torch.manual_seed(0)
    tokens, width, vocabulary = SHAPES[shape]
    labels = torch.randint(vocabulary, (tokens,))
    labels[::10] = IGNORED
    hidden, weight = torch.randn(tokens, width) * 0.5, torch.randn(vocabulary, width) * 0.02
    return hidden.requires_grad_(), weight.requires_grad_(), labels


def step(name: str, tensors: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    """Return the loss and both gradients by one implementation."""
    hidden, weight, labels = tensors
    hidden.grad = weight.grad = None
    loss = IMPLEMENTATIONS[name](hidden, weight, labels)
    loss.backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    return [loss.detach(), hidden.grad, weight.grad]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the loss of the output head on the CPU.")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory_of", nargs=2, metavar=("IMPLEMENTATION", "SHAPE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory_of:
        print(json.dumps(peak_memory(*arguments.memory_of)))
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {arguments.repeats} rounds")
    print(f"{'shape':8}{'implementation':24}{'CPU s':>8}{'of ours':>9}{'peak MB':>9}{'largest error':>15}")
    for shape in arguments.shapes:
        tensors = inputs(shape)
        reference = step("plain", tensors)
        errors = {name: largest_error(step(name, tensors), reference) for name in IMPLEMENTATIONS}
        rounds = [{name: seconds(name, tensors) for name in IMPLEMENTATIONS} for _ in range(arguments.repeats)]
        ours = next(iter(IMPLEMENTATIONS))
        for name in IMPLEMENTATIONS:
            taken = statistics.median(one[name] for one in rounds)
            ratio = statistics.median(one[name] / one[ours] for one in rounds)
            command = [sys.executable, __file__, "--memory_of", name, shape]
            peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(f"{shape:8}{name:24}{taken:8.3f}{ratio:9.2f}{peak / 1e6:9.0f}{errors[name]:15.1e}", flush=True)


def seconds(name: str, tensors: tuple[Tensor, Tensor, Tensor]) -> float:
    gc.collect()
    start = time.process_time()
    step(name, tensors)
    return time.process_time() - start


def largest_error(found: list[Tensor], reference: list[Tensor]) -> float:
    """Return the largest difference of loss and gradients, each as a share of the reference's largest value."""
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(found, reference, strict=True))


def peak_memory(name: str, shape: str) -> int:
    """Return the bytes that a step holds at most, above those of its inputs."""
    tensors = inputs(shape)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    step(name, tensors)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
