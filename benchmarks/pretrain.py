"""How fast GPT-2 trains here: transformers as it is, each part of ours, our whole loop, and nanoGPT.

    python benchmarks/pretrain.py                                            # a tiny model on the CPU: about a minute
    python benchmarks/pretrain.py --shape gpt2_124m --nanogpt ../nanoGPT     # on a GPU: batch 64 x 1024, bf16
    python benchmarks/pretrain.py --nanogpt ../nanoGPT --pairs               # ours and the reference in turn

One table: tokens per second, share of the device's peak (MFU), peak memory, and the ratio to a plain
transformers.Trainer in the same process. The last line holds our loop against the bare forward, backward and step on
the same model, a step of each in turn, or five on a GPU; more than 5% on top is an error. With --pairs our rows are
timed in turn with nanoGPT (without a checkout: with transformers), and the median of the ratios is shown with its
range: a machine that slows down slows both. `loss` is the one after two steps from the same weights, so a row that
computes something else shows it. On a CPU, times are CPU seconds of one thread, so that a busy machine does not count
against anyone, and rows that take a GPU are left out.
"""

import argparse
import gc
import itertools
import json
import math
import re
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments

from mulfact.benchmarks.timing.pairs import Pair, time_pairs
from mulfact.benchmarks.timing.training_steps import EOS, SHAPES, Bench, Shape, Step, settings
from mulfact.errors import UserError, command, first_line
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.launch import launch, resolve_precision
from mulfact.modeling.pretraining.loop import Loop
from mulfact.modeling.pretraining.preemption import Preemption
from mulfact.modeling.pretraining.progress import MetricsLog, Progress
from mulfact.modeling.pretraining.run import Pretraining, RunState
from mulfact.modeling.pretraining.steps import step_flops
from mulfact.provenance import stage_output, write_json
from mulfact.tokenizers.facts import FACTS_FILE, Facts

MOST_OVERHEAD = 0.05
WARM_STEPS = 3
STEPS_IN_A_ROW = 5  # on a GPU, where the loop prepares a batch while the one before is computed
Rows = dict[str, Callable[[], Step]]


# ---------------------------------------------------------------- what is compared


def rows(bench: Bench, compiled: bool, nanogpt: Path | None) -> Rows:
    """Return the rows of the table that can be measured here."""
    table: Rows = {
        "transformers, eager": lambda: bench.transformers_step(False),
        "ours, eager: no mask, one GELU kernel": lambda: bench.objective_step("plain", False),
        "ours, eager, chunked loss": lambda: bench.objective_step("chunked", False),
    }
    if bench.on_gpu:
        table["ours, eager, Liger loss"] = lambda: bench.objective_step("liger", False)
    if nanogpt is not None:
        table["nanoGPT"] = lambda: bench.nanogpt_step(nanogpt)
        table["nanoGPT, without biases"] = lambda: bench.nanogpt_step(nanogpt, bias=False)
    if compiled:
        table["transformers, compiled"] = lambda: bench.transformers_step(True)
        if bench.on_gpu:
            table["ours, compiled, torch's choice of attention"] = bench.flash_step
        table["ours, compiled"] = lambda: bench.objective_step("plain", True)
        table["  + bf16 residual"] = lambda: bench.objective_step("plain", True, True)
        table |= candidates(bench, compiled)
    if nanogpt is not None:
        table["nanoGPT, once more"] = table["nanoGPT"]
    return table


def candidates(bench: Bench, compiled: bool) -> Rows:
    """Return the rows that are timed in turn with the reference: first the recipe's, last what compiles for minutes."""
    if not compiled:
        return {
            "ours, eager: no mask, one GELU kernel": lambda: bench.objective_step("plain", False),
            "ours, eager, chunked loss": lambda: bench.objective_step("chunked", False),
        }
    chunked: Rows = {"  + bf16 residual, chunked loss": lambda: bench.objective_step("chunked", True, True)}
    if not bench.on_gpu:
        return chunked
    return {
        "  + bf16 residual, Liger loss (recipe)": lambda: bench.objective_step("liger", True, True),
        "  + the recipe with CUDA graphs": lambda: bench.objective_step("liger", True, True, "graphs"),
        "  + the recipe with CuTe DSL's loss": lambda: bench.objective_step("liger_cutedsl", True, True),
        **chunked,
        "  + the recipe with tuned products": lambda: bench.objective_step("liger", True, True, "tuned"),
    }


# ---------------------------------------------------------------- in turn with the reference


@dataclass(frozen=True)
class Timed:
    """One row of ours: its times, what it took on top of what was held before, and its loss after two steps."""

    name: str
    pair: Pair
    gigabytes: float
    loss: float


def timed_rows(bench: Bench, table: Rows, reference: Step, repeats: int) -> Iterator[Timed | str]:
    """Yield each row when it is measured, or why it could not be."""
    for name, build in table.items():
        gc.collect()
        held = 0
        if bench.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            held = torch.cuda.memory_allocated()
        try:
            ours = build()
            loss = [ours().item() for _ in range(WARM_STEPS)][-1]
            peak = torch.cuda.max_memory_allocated() - held if bench.on_gpu else 0
            in_a_row = STEPS_IN_A_ROW if bench.on_gpu else 1
            pair = time_pairs(ours, reference, repeats, bench.clock, in_a_row=in_a_row)
        except (UserError, RuntimeError) as error:  # out of memory, and what Inductor and CUDA graphs raise
            yield f"{name:40}  failed: {first_line(error)[:100]}"
            continue
        finally:
            ours = None  # type: ignore[assignment]  # its weights go before the next row's come
        yield Timed(name, pair, peak / 1e9, loss)


def compare_in_turn(bench: Bench, compiled: bool, nanogpt: Path | None, repeats: int) -> Iterator[dict[str, Any]]:
    """Print how many times as fast as the reference each of our rows is; yield what is known after each."""
    if nanogpt is not None:
        name, reference = "nanoGPT", bench.nanogpt_step(nanogpt)
    else:
        name = f"transformers, {'compiled' if compiled else 'eager'}"
        reference = bench.transformers_step(compiled)
    print(f"{'':40}{'ms':>8}{'GB':>8}{'loss':>9}   times as fast as {name}: median (least, most)", flush=True)
    found: dict[str, Any] = {"reference": name, "rows": []}
    for row in timed_rows(bench, candidates(bench, compiled), reference, repeats):
        if isinstance(row, str):
            print(row, flush=True)
            continue
        pair = row.pair
        print(
            f"{row.name:40}{1000 * pair.seconds:8.1f}{row.gigabytes:8.1f}{row.loss:9.4f}   "
            f"{pair.ratio:.3f} ({pair.least:.3f}, {pair.most:.3f})",
            flush=True,
        )
        found["rows"].append({**asdict(row), "ratio": pair.ratio})
        yield found


# ---------------------------------------------------------------- the Trainer, and our whole loop


def trainer_seconds(bench: Bench, folder: Path, steps: int) -> float:
    """Return the median time of a step of transformers.Trainer with the same batch, precision and optimizer."""
    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(callback, *args: Any, **kwargs: Any) -> None:
            ends.append(bench.clock())

    examples = [{"input_ids": row, "labels": row} for row in bench.ids[:, 1:].cpu()]
    steps += WARM_STEPS + 1
    accumulation = 4 if bench.on_gpu else 1  # whole, its float32 logits do not fit 80 GB
    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=bench.shape.batch // accumulation,
        gradient_accumulation_steps=accumulation, max_steps=steps, bf16=bench.bf16,
        optim="adamw_torch_fused", use_cpu=not bench.on_gpu, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True,
    )  # fmt: skip
    Trainer(bench.model(), arguments, train_dataset=examples * steps, callbacks=[Clock()]).train()
    times = [after - before for before, after in itertools.pairwise(ends)]
    return statistics.median(times[WARM_STEPS:])


def write_inputs(folder: Path, shape: Shape, steps: int) -> dict[str, str]:
    """Write a tokenizer and random tokens for `steps` steps in the project's formats; return the recipe's paths."""
    with stage_output(folder / "tokenizer", {"seed": 0}) as partial:
        tokenizer = Tokenizer(models.BPE(vocab={"<|endoftext|>": EOS, "<|pad|>": 1}, merges=[]))
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|pad|>")
        fast.save_pretrained(partial)
        write_json(partial / FACTS_FILE, Facts("none", shape.vocab_size, shape.vocab_size, ()).to_json())
    random = np.random.default_rng(0)
    sizes = {"train": (steps + 2) * shape.batch * shape.sequence_length, "validation": 4096, "canonical": 4096}
    with stage_output(folder / "tokens", {"seed": 0}, [folder / "tokenizer"]) as partial:
        splits = {}
        for split, tokens in sizes.items():
            lengths = np.full(math.ceil(tokens / 512), 512, np.int32)
            ids = random.integers(2, shape.vocab_size, int(lengths.sum())).astype("<u2")
            ids[511::512] = EOS
            ids.tofile(partial / f"{split}-00000.bin")
            flags = np.zeros(len(lengths), np.uint8)
            columns = {"tokens": lengths, "bytes": lengths * 4, "fact_free": flags == 0, "source": flags}
            np.savez(partial / f"{split}-00000.index.npz", **columns)
            splits[split] = {"shards": [f"{split}-00000"]}
        manifest = {"dtype": "uint16", "sources": ["random"], "eos_token_id": EOS, "splits": splits}
        (partial / "manifest.json").write_text(json.dumps(manifest))
    return {name: str(folder / name) for name in ("tokenizer", "tokens")}


def loop_against_bare(bench: Bench, accelerator: Accelerator, repeats: int) -> Pair:
    """Return the times of a step of our loop and of the bare step, measured in turn."""
    run = Pretraining(bench.arguments, accelerator)
    folder = Path(bench.arguments.checkpoint_dir)
    loop = Loop(
        run, RunState(), MetricsLog(folder / "metrics.jsonl", 0, True), Progress("", run.max_steps, None, False),
        Preemption(accelerator),
    )  # fmt: skip
    numbers = itertools.count(1)
    bare = bench.objective_step(bench.arguments.loss, bench.arguments.compile, bench.arguments.bf16_residual)
    in_a_row = STEPS_IN_A_ROW if bench.on_gpu else 1
    return time_pairs(
        lambda: loop.advance(next(numbers)), bare, math.ceil(repeats / in_a_row), bench.clock, WARM_STEPS, in_a_row
    )


# ---------------------------------------------------------------- the command


def print_row(bench: Bench, name: str, seconds: float, reference: float, memory: int | None) -> None:
    tokens = bench.shape.batch * bench.shape.sequence_length
    flops = step_flops(bench.arguments, bench.shape.vocab_size)
    used = f"{flops / seconds / bench.peak:6.1%}" if bench.peak else "     -"
    gigabytes = f"{memory / 1e9:7.1f}" if memory else "      -"
    print(f"{name:40}{tokens / seconds:12,.0f}{used:>8}{gigabytes:>9}{reference / seconds:10.2f}", flush=True)


def print_table(bench: Bench, table: Rows, chosen: str, reference: float, repeats: int) -> None:
    """Measure and print the rows whose name matches the regular expression `chosen`, one after the other."""
    for title, build in table.items():
        if not re.search(chosen, title):
            continue
        gc.collect()
        torch.compiler.reset()
        if bench.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            step, times = build(), []
            for _ in range(WARM_STEPS + repeats):
                begun = bench.clock()
                step()
                times.append(bench.clock() - begun)
        except (UserError, RuntimeError) as error:  # out of memory, and what Inductor and CUDA graphs raise
            print(f"{title:40}  failed: {first_line(error)[:100]}", flush=True)
            continue
        memory = torch.cuda.max_memory_allocated() if bench.on_gpu else None
        print_row(bench, title, statistics.median(times[WARM_STEPS:]), reference, memory)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speed of pretraining.")
    parser.add_argument("--shape", choices=SHAPES, default="gpt2_124m" if torch.cuda.is_available() else "tiny")
    parser.add_argument("--steps", type=int, default=12, help="measured steps of each row, after three to warm up")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=torch.cuda.is_available())
    parser.add_argument("--loss", choices=["plain", "chunked", "liger"], help="of the whole loop; liger on a GPU")
    parser.add_argument(
        "--pairs", action="store_true", help="time our rows in turn with the reference, and nothing else"
    )
    parser.add_argument("--rows", default="", help="only rows whose name matches this regular expression")
    parser.add_argument("--nanogpt", type=Path, help="a checkout of nanoGPT, to measure its model and optimizer too")
    options = parser.parse_args()
    shape, on_gpu = SHAPES[options.shape], torch.cuda.is_available()
    steps = WARM_STEPS + options.steps + STEPS_IN_A_ROW
    if not on_gpu:
        torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        values = settings(
            shape, **write_inputs(folder, shape, steps), output_dir=str(folder / "final"), log_steps=10,
            checkpoint_dir=str(folder / "checkpoints"), curve_dir=str(folder / "curve"), max_steps=steps + 1,
            mixed_precision=resolve_precision("auto", torch.device("cuda" if on_gpu else "cpu")),
            loss=options.loss or ("liger" if on_gpu else "chunked"), compile=options.compile,
            bf16_residual=options.compile,
        )  # fmt: skip
        arguments = PretrainArguments(**values)
        accelerator = launch(arguments, seed=0)
        bench = Bench(shape, arguments)
        words = f"batch {shape.batch} x {shape.sequence_length}, precision {arguments.mixed_precision}, {bench.device}"
        print(f"{options.shape}: {words}")
        if options.pairs:
            for _ in compare_in_turn(bench, options.compile, options.nanogpt, options.steps):
                pass
            return
        print(f"{'':40}{'tokens/s':>12}{'MFU':>8}{'GB':>9}{'x Trainer':>10}")
        reference = trainer_seconds(bench, folder / "trainer", options.steps)
        print_row(bench, "transformers.Trainer", reference, reference, None)
        table = rows(bench, options.compile, options.nanogpt)
        print_table(bench, table, options.rows, reference, options.steps)
        pair = loop_against_bare(bench, accelerator, options.steps)
        print_row(bench, "our whole loop", pair.seconds, reference, None)
    overhead = 1 / pair.ratio - 1
    print(f"our loop over the bare step: {overhead:+.1%}")
    if overhead > MOST_OVERHEAD:
        raise UserError(f"our loop takes {overhead:.1%} more than its bare step, expected at most {MOST_OVERHEAD:.0%}")


if __name__ == "__main__":
    main()
