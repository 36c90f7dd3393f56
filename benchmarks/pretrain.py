"""How fast GPT-2 trains here: transformers as it is, each part of ours, our whole loop, and nanoGPT.

    python benchmarks/pretrain.py                                            # a tiny model on the CPU: about a minute
    python benchmarks/pretrain.py --shape gpt2_124m --nanogpt ../nanoGPT     # on a GPU: batch 64 x 1024, bf16
    python benchmarks/pretrain.py --nanogpt ../nanoGPT --pairs               # ours and the reference in turn

One table: tokens per second, share of the device's peak (MFU), peak memory, and the ratio to a plain
transformers.Trainer in the same process. The last line holds our loop against the bare forward, backward and step on
the same model, a step of each in turn, or five on a GPU; more than 5% on top is an error. With --pairs our rows are
timed in turn with nanoGPT (without a checkout: with transformers), and the median of the ratios is shown with its
range: a machine that slows down slows both. On a CPU, times are CPU seconds of one thread, so that a busy machine does
not count against anyone, and rows that take a GPU are left out.
"""

import argparse
import gc
import importlib.util
import itertools
import json
import math
import re
import statistics
import sys
import tempfile
import time
import unittest.mock
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from tokenizers import Tokenizer, models
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast, Trainer, TrainerCallback, TrainingArguments

from mulfact.errors import UserError, command
from mulfact.modeling.gpt2 import attention
from mulfact.modeling.gpt2.flops import peak_flops
from mulfact.modeling.gpt2.model import Objective, build_model, gpt2_config
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.launch import launch, resolve_precision
from mulfact.modeling.pretraining.loop import Loop
from mulfact.modeling.pretraining.optimizer import build_optimizer
from mulfact.modeling.pretraining.preemption import Preemption
from mulfact.modeling.pretraining.progress import MetricsLog, Progress
from mulfact.modeling.pretraining.run import Pretraining, RunState
from mulfact.modeling.pretraining.steps import step_flops
from mulfact.provenance import stage_output, write_json
from mulfact.recipe import compose
from mulfact.tokenizers.facts import FACTS_FILE, Facts

REPOSITORY = Path(__file__).resolve().parent.parent
MOST_OVERHEAD = 0.05
WARM_STEPS = 3
STEPS_IN_A_ROW = 5  # on a GPU, where the loop prepares a batch while the one before is computed
EOS = 0


@dataclass(frozen=True)
class Shape:
    """A model and its batch."""

    n_layer: int
    n_head: int
    n_embd: int
    vocab_size: int
    sequence_length: int
    batch: int


SHAPES = {
    "tiny": Shape(4, 2, 128, 2048, 256, 16),
    "gpt2_124m": Shape(12, 12, 768, 50304, 1024, 64),
    "gpt2_355m": Shape(24, 16, 1024, 50304, 1024, 32),
}
Step = Callable[[], None]


class Bench:
    """What all rows share: the shape, the device, the clock, random tokens."""

    def __init__(self, shape: Shape, arguments: PretrainArguments, steps: int) -> None:
        self.shape, self.arguments, self.steps = shape, arguments, steps
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.type == "cuda"
        self.bf16 = arguments.mixed_precision == "bf16"
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(2, shape.vocab_size, (shape.batch, shape.sequence_length + 1), generator=generator)
        self.ids = self.ids.to(self.device)
        name = torch.cuda.get_device_name() if self.on_gpu else ""
        self.peak = peak_flops(name)

    def model(self) -> GPT2LMHeadModel:
        tokenizer = SimpleNamespace(bos_token_id=EOS, eos_token_id=EOS, pad_token_id=1)
        return build_model(gpt2_config(self.arguments, self.shape.vocab_size, tokenizer), 0).to(self.device).train()

    def clock(self) -> float:
        if not self.on_gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def seconds(self, step: Step) -> float:
        """Return the median time of a step."""
        for _ in range(WARM_STEPS):
            step()
        times = []
        for _ in range(self.steps):
            begun = self.clock()
            step()
            times.append(self.clock() - begun)
        return statistics.median(times)

    def bare(self, model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
        """Return forward, backward, clipping and AdamW, and nothing else."""
        optimizer = build_optimizer(model, self.arguments)

        def step() -> None:
            loss().backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.arguments.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()

        return step

    def transformers_step(self, compiled: bool) -> Step:
        """Return the step of GPT2LMHeadModel as transformers has it."""
        model = self.model()
        forward: Any = torch.compile(model) if compiled else model

        def loss() -> torch.Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                return forward(input_ids=self.ids[:, 1:], labels=self.ids[:, 1:]).loss

        return self.bare(model, loss)

    def objective_step(
        self, loss: str, compiled: bool, bf16_residual: bool = False, options: dict[str, Any] | None = None
    ) -> Step:
        objective = Objective(self.model(), loss, self.arguments.mixed_precision, bf16_residual)
        if compiled:
            objective.compile(options=options)
        return self.bare(objective, lambda: objective(self.ids[:, :-1], self.ids[:, 1:]))

    def flash_step(self) -> Step:
        """Return our compiled step with torch's own choice of an attention kernel."""

        def step() -> None:
            with unittest.mock.patch.object(attention, "KERNELS", attention.KERNELS[1:]):
                compiled()

        compiled = self.objective_step("plain", True)
        return step

    def nanogpt_step(self, checkout: Path, bias: bool = True) -> Step:
        """Return the step of nanoGPT's own model and optimizer, compiled. Raises UserError for another checkout.

        GPT-2 has biases, and so has `GPT2LMHeadModel`; nanoGPT's own recipe leaves them out.
        """
        spec = importlib.util.spec_from_file_location("nanogpt_model", checkout / "model.py")
        if spec is None or spec.loader is None or not (checkout / "model.py").is_file():
            raise UserError(f"{checkout} has no model.py: expected a checkout of github.com/karpathy/nanoGPT")
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # its dataclass looks itself up
        spec.loader.exec_module(module)
        shape = self.shape
        config = module.GPTConfig(
            block_size=shape.sequence_length, vocab_size=shape.vocab_size, n_layer=shape.n_layer, n_head=shape.n_head,
            n_embd=shape.n_embd, dropout=0.0, bias=bias,
        )  # fmt: skip
        model = module.GPT(config).to(self.device)
        optimizer = model.configure_optimizers(0.1, 6e-4, (0.9, 0.95), self.device.type)
        compiled = torch.compile(model) if self.on_gpu else model

        def step() -> None:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                _, loss = compiled(self.ids[:, :-1], self.ids[:, 1:].contiguous())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return step

    def trainer_seconds(self, folder: Path) -> float:
        """Return the median time of a step of transformers.Trainer with the same batch, precision and optimizer."""
        ends: list[float] = []

        class Clock(TrainerCallback):
            def on_step_end(callback, *args: Any, **kwargs: Any) -> None:
                ends.append(self.clock())

        rows = [{"input_ids": row, "labels": row} for row in self.ids[:, 1:].cpu()]
        steps = WARM_STEPS + self.steps + 1
        accumulation = 4 if self.on_gpu else 1  # whole, its float32 logits do not fit 80 GB
        settings = TrainingArguments(
            output_dir=str(folder), per_device_train_batch_size=self.shape.batch // accumulation,
            gradient_accumulation_steps=accumulation, max_steps=steps, bf16=self.bf16,
            optim="adamw_torch_fused", use_cpu=not self.on_gpu, logging_strategy="no", save_strategy="no",
            report_to="none", disable_tqdm=True,
        )  # fmt: skip
        Trainer(self.model(), settings, train_dataset=rows * steps, callbacks=[Clock()]).train()
        times = [after - before for before, after in itertools.pairwise(ends)]
        return statistics.median(times[WARM_STEPS:])


def rows(bench: Bench, compiled: bool, nanogpt: Path | None) -> dict[str, Callable[[], Step]]:
    """Return the rows of the table that can be measured here."""
    table = {
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
        table["  + bf16 residual, chunked loss"] = lambda: bench.objective_step("chunked", True, True)
        if bench.on_gpu:
            table["  + bf16 residual, Liger loss"] = lambda: bench.objective_step("liger", True, True)
            table["  + bf16 residual, Liger, CUDA graphs"] = lambda: bench.objective_step(
                "liger", True, True, {"triton.cudagraphs": True}
            )
            table["  + bf16 residual, Liger loss, autotuned"] = lambda: bench.objective_step(
                "liger", True, True, {"max_autotune": True, "triton.enable_persistent_tma_matmul": True}
            )
    if nanogpt is not None:
        table["nanoGPT, once more"] = table["nanoGPT"]
    return table


def print_pairs(bench: Bench, compiled: bool, nanogpt: Path | None) -> None:
    """Print how many times as fast as the reference each of our rows is, measured in turn."""
    table = rows(bench, compiled, nanogpt)
    reference_name = "nanoGPT" if nanogpt is not None else f"transformers, {'compiled' if compiled else 'eager'}"
    reference = table[reference_name]()
    print(f"{'':40}{'ms':>8}{'GB':>8}   times as fast as {reference_name}: median (least, most)")
    for name, build in table.items():
        if not name.lstrip().startswith("+" if compiled else "ours"):
            continue
        try:
            ours = build()
            for step in (ours, reference):
                for _ in range(WARM_STEPS):
                    step()
            memory, pairs = 0, []
            for _ in range(bench.steps):
                times = []
                for step in (ours, reference):
                    if bench.on_gpu:
                        torch.cuda.reset_peak_memory_stats()
                    begun = bench.clock()
                    for _ in range(STEPS_IN_A_ROW if bench.on_gpu else 1):
                        step()
                    times.append(bench.clock() - begun)
                    if bench.on_gpu and step is ours:
                        memory = torch.cuda.max_memory_allocated()
                pairs.append((times[1] / times[0], times[0]))
        except (torch.OutOfMemoryError, RuntimeError) as error:
            print(f"{name:40}  failed: {str(error).splitlines()[0][:100]}", flush=True)
            continue
        ratios = sorted(ratio for ratio, _ in pairs)
        seconds = statistics.median(time for _, time in pairs) / (STEPS_IN_A_ROW if bench.on_gpu else 1)
        print(
            f"{name:40}{1000 * seconds:8.1f}{memory / 1e9:8.1f}   "
            f"{statistics.median(ratios):.3f} ({ratios[0]:.3f}, {ratios[-1]:.3f})",
            flush=True,
        )


def write_inputs(folder: Path, shape: Shape, steps: int) -> dict[str, Any]:
    """Write a tokenizer and random tokens for `steps` steps in the project's formats; return the recipe's paths."""
    with stage_output(folder / "tokenizer", {"seed": 0}) as partial:
        tokenizer = Tokenizer(models.BPE(vocab={"<|endoftext|>": EOS, "<|pad|>": 1}, merges=[]))
        fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>", pad_token="<|pad|>")
        fast.save_pretrained(partial)
        write_json(partial / FACTS_FILE, Facts("none", shape.vocab_size, shape.vocab_size, ()).to_json())
    random = np.random.default_rng(0)
    with stage_output(folder / "tokens", {"seed": 0}, [folder / "tokenizer"]) as partial:
        splits = {}
        for split, tokens in (("train", (steps + 2) * shape.batch * shape.sequence_length), ("validation", 4096)):
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


def loop_against_bare(bench: Bench, accelerator: Accelerator) -> tuple[float, float]:
    """Return the median seconds of a step of our loop and of the bare step, measured in turn."""
    run = Pretraining(bench.arguments, accelerator)
    folder = Path(bench.arguments.checkpoint_dir)
    loop = Loop(
        run, RunState(), MetricsLog(folder / "metrics.jsonl", 0, True), Progress("", run.max_steps, None, False),
        Preemption(accelerator),
    )  # fmt: skip
    bare = bench.objective_step(bench.arguments.loss, bench.arguments.compile, bench.arguments.bf16_residual)
    group = STEPS_IN_A_ROW if bench.on_gpu else 1
    ours, theirs = [], []
    for first in range(1, WARM_STEPS + bench.steps + 1, group):
        start = bench.clock()
        for step in range(first, first + group):
            loop.advance(step)
        middle = bench.clock()
        for _ in range(group):
            bare()
        ours.append((middle - start) / group)
        theirs.append((bench.clock() - middle) / group)
    warm = -(-WARM_STEPS // group)
    return statistics.median(ours[warm:]), statistics.median(theirs[warm:])


def settings(
    shape: Shape, paths: dict[str, Any], folder: Path, loss: str, compiled: bool, steps: int
) -> dict[str, Any]:
    """Return the pretrain settings of the benchmark: the smoke recipe's, with this shape and no stop on the way."""
    section = compose(REPOSITORY / "recipes", "smoke", "baseline", 0)["pretrain"]
    return section | paths | {
        "output_dir": str(folder / "final"), "checkpoint_dir": str(folder / "checkpoints"),
        "n_layer": shape.n_layer, "n_head": shape.n_head, "n_embd": shape.n_embd, "n_positions": shape.sequence_length,
        "sequence_length": shape.sequence_length, "tokens_per_step": shape.batch * shape.sequence_length,
        "micro_batch_size": shape.batch, "max_steps": steps, "eval_steps": 10**9, "eval_bytes": 4096,
        "save_steps": 10**9, "log_steps": 10, "loss": loss, "compile": compiled, "bf16_residual": compiled,
    }  # fmt: skip


def print_row(bench: Bench, name: str, seconds: float, reference: float, memory: int | None) -> None:
    tokens = bench.shape.batch * bench.shape.sequence_length
    flops = step_flops(bench.arguments, bench.shape.vocab_size)
    used = f"{flops / seconds / bench.peak:6.1%}" if bench.peak else "     -"
    gigabytes = f"{memory / 1e9:7.1f}" if memory else "      -"
    print(f"{name:40}{tokens / seconds:12,.0f}{used:>8}{gigabytes:>9}{reference / seconds:10.2f}", flush=True)


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
    shape = SHAPES[options.shape]
    steps = WARM_STEPS + options.steps + STEPS_IN_A_ROW
    if not torch.cuda.is_available():
        torch.set_num_threads(1)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = write_inputs(folder, shape, steps)
        loss = options.loss or ("liger" if torch.cuda.is_available() else "chunked")
        values = settings(shape, paths, folder, loss, options.compile, steps + 1)
        precision = resolve_precision("auto", torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        arguments = PretrainArguments(**values | {"mixed_precision": precision})
        accelerator = launch(arguments, seed=0)
        bench = Bench(shape, arguments, options.steps)
        print(f"{options.shape}: batch {shape.batch} x {shape.sequence_length}, precision {precision}, {bench.device}")
        if options.pairs:
            print_pairs(bench, options.compile, options.nanogpt)
            return
        print(f"{'':40}{'tokens/s':>12}{'MFU':>8}{'GB':>9}{'x Trainer':>10}")
        reference = bench.trainer_seconds(folder / "trainer")
        print_row(bench, "transformers.Trainer", reference, reference, None)
        for title, build in rows(bench, options.compile, options.nanogpt).items():
            if not re.search(options.rows, title):
                continue
            gc.collect()
            torch.compiler.reset()
            if bench.on_gpu:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            try:
                seconds = bench.seconds(build())
            except torch.OutOfMemoryError:
                print(f"{title:40}{'out of memory':>12}", flush=True)
                continue
            except RuntimeError as error:  # what Inductor and CUDA graphs raise; the other rows still count
                print(f"{title:40}  failed: {str(error).splitlines()[0][:100]}", flush=True)
                continue
            memory = torch.cuda.max_memory_allocated() if bench.on_gpu else None
            print_row(bench, title, seconds, reference, memory)
        ours, bare = loop_against_bare(bench, accelerator)
        print_row(bench, "our whole loop", ours, reference, None)
    overhead = ours / bare - 1
    print(f"our loop over the bare step: {overhead:+.1%}")
    if overhead > MOST_OVERHEAD:
        raise UserError(f"our loop takes {overhead:.1%} more than its bare step, expected at most {MOST_OVERHEAD:.0%}")


if __name__ == "__main__":
    main()
