"""One optimizer step of GPT-2, in every way that benchmarks/pretrain.py compares: transformers', ours, nanoGPT's.

bench = Bench(SHAPES["tiny"], arguments)
step = bench.objective_step("chunked", compiled=False)
loss = step()

All of them start from the same weights, but for nanoGPT's, and take the same random tokens again and again.
"""

import importlib.util
import sys
import time
import unittest.mock
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.gpt2 import attention
from mulfact.modeling.gpt2.flops import peak_flops
from mulfact.modeling.gpt2.model import COMPILE_OPTIONS, Objective, build_model, gpt2_config
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.optimizer import build_optimizer
from mulfact.recipe import compose

REPOSITORY = Path(__file__).resolve().parents[2]
EOS = 0
Step = Callable[[], torch.Tensor]  # forward, backward, clipping and AdamW; returns the loss before the step


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


def settings(shape: Shape, **changes: Any) -> dict[str, Any]:
    """Return the pretrain settings of a benchmark: the smoke recipe's, with this shape and no stop on the way."""
    section = compose(REPOSITORY / "recipes", "smoke", "baseline", 0)["pretrain"]
    return section | {
        "n_layer": shape.n_layer, "n_head": shape.n_head, "n_embd": shape.n_embd, "n_positions": shape.sequence_length,
        "sequence_length": shape.sequence_length, "tokens_per_step": shape.batch * shape.sequence_length,
        "micro_batch_size": shape.batch, "eval_steps": 10**9, "eval_bytes": 4096, "save_steps": 10**9, "curve": 0,
    } | changes  # fmt: skip


class Bench:
    """What all steps share: the shape, the device, the clock, random tokens."""

    def __init__(self, shape: Shape, arguments: PretrainArguments) -> None:
        self.shape, self.arguments = shape, arguments
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.type == "cuda"
        self.bf16 = arguments.mixed_precision == "bf16"
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(2, shape.vocab_size, (shape.batch, shape.sequence_length + 1), generator=generator)
        self.ids = self.ids.to(self.device)
        self.peak = peak_flops(torch.cuda.get_device_name() if self.on_gpu else "")
        # Each row compiles the same code for another model: past the limit, torch would run them uncompiled in silence.
        torch._dynamo.config.recompile_limit = 64

    def model(self) -> GPT2LMHeadModel:
        tokenizer = SimpleNamespace(bos_token_id=EOS, eos_token_id=EOS, pad_token_id=1)
        config = gpt2_config(self.arguments, self.shape.vocab_size, tokenizer)  # type: ignore[arg-type]
        return build_model(config, 0).to(self.device).train()  # type: ignore[arg-type]

    def clock(self) -> float:
        """Return seconds: of the GPU's work, or of this process on a CPU, which a busy machine does not lengthen."""
        if not self.on_gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def bare(self, model: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> Step:
        """Return forward, backward, clipping and AdamW, and nothing else."""
        optimizer = build_optimizer(model, self.arguments)

        def step() -> torch.Tensor:
            value = loss()
            value.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), self.arguments.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
            return value.detach()

        return step

    def transformers_step(self, compiled: bool) -> Step:
        """Return the step of GPT2LMHeadModel as transformers has it."""
        model = self.model()
        forward: Any = torch.compile(model) if compiled else model

        def loss() -> torch.Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                return forward(input_ids=self.ids[:, 1:], labels=self.ids[:, 1:]).loss

        return self.bare(model, loss)

    def objective_step(self, loss: str, compiled: bool, bf16_residual: bool = False, mode: str = "default") -> Step:
        """Return our step, compiled by a `compile_mode` or not at all."""
        objective = Objective(self.model(), loss, self.arguments.mixed_precision, bf16_residual)
        if compiled:
            objective.compile(options=COMPILE_OPTIONS[mode])
        return self.bare(objective, lambda: objective(self.ids[:, :-1], self.ids[:, 1:]))

    def flash_step(self) -> Step:
        """Return our compiled step with torch's own choice of an attention kernel."""

        def step() -> torch.Tensor:
            with unittest.mock.patch.object(attention, "KERNELS", attention.KERNELS[1:]):
                return compiled()

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

        def step() -> torch.Tensor:
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                _, loss = compiled(self.ids[:, :-1], self.ids[:, 1:].contiguous())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return loss.detach()

        return step
