"""The objects of one pretraining run, and one step of it."""

import gc
import math
import resource
import sys
from dataclasses import asdict, dataclass, field

import torch
from accelerate import Accelerator

from mulfact.data_builders.storage.token_stream import TokenStream
from mulfact.errors import UserError
from mulfact.modeling.gpt2.model import COMPILE_OPTIONS, Objective, build_model, gpt2_config
from mulfact.modeling.pretrain_arguments import PretrainArguments
from mulfact.modeling.pretraining.batches import RawBytes, plan_batches, read_step
from mulfact.modeling.pretraining.checkpoints import Checkpoints
from mulfact.modeling.pretraining.curve import FOLDER, Curve, curve_steps
from mulfact.modeling.pretraining.launch import configure_deepspeed
from mulfact.modeling.pretraining.optimizer import build_optimizer, learning_rate
from mulfact.modeling.pretraining.preflight import check_supply, load_tokenizer
from mulfact.modeling.pretraining.steps import bytes_factor, resolve_steps, step_flops
from mulfact.modeling.pretraining.validation import ValidationSet
from mulfact.provenance import input_hash


@dataclass
class RunState:
    """What a checkpoint keeps beside weights and optimizer."""

    step: int = 0
    seconds: float = 0.0  # of training, validation and checkpoints, over all parts of the run
    training_seconds: float = 0.0  # of the steps alone
    peak_memory_bytes: int = 0  # of process 0
    losses: list[float] = field(default_factory=list)  # of the steps since the last log line
    bits_per_byte: float | None = None  # if this step was validated


class Pretraining:
    """Data, model, optimizer and checkpoints of one run. Raises UserError when they do not fit together."""

    def __init__(self, arguments: PretrainArguments, accelerator: Accelerator) -> None:
        tokenizer, vocab_size, manifest = load_tokenizer(arguments)
        self.max_steps = resolve_steps(arguments, vocab_size, bytes_factor(arguments))
        self.step_flops = step_flops(arguments, vocab_size)
        self.arguments, self.accelerator = arguments, accelerator
        self.plan = plan_batches(arguments, accelerator.num_processes, accelerator.process_index)
        self.stream = TokenStream(arguments.tokens, "train", arguments.seed, arguments.allow_epochs)
        self.epochs = check_supply(self.stream, self.max_steps, arguments)
        self.raw_bytes = RawBytes(self.stream)
        self.validation = ValidationSet(
            TokenStream(arguments.tokens, "validation", None),
            TokenStream(arguments.tokens, "canonical", None),
            manifest["sources"],
            manifest["eos_token_id"],
            arguments.sequence_length,
            arguments.eval_bytes,
        )
        self.model = build_model(gpt2_config(arguments, vocab_size, tokenizer), arguments.seed)
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.objective = Objective(self.model, arguments.loss, arguments.mixed_precision, arguments.bf16_residual)
        if arguments.compile:
            self.objective.compile(options=COMPILE_OPTIONS[arguments.compile_mode])
        configure_deepspeed(accelerator, self.plan.micro_batch_size, self.plan.micro_batches, arguments.max_grad_norm)
        accelerator.gradient_accumulation_steps = self.plan.micro_batches
        optimizer = build_optimizer(self.model, arguments)
        self.parallel, self.optimizer = accelerator.prepare(self.objective, optimizer)
        inputs = {name: input_hash(getattr(arguments, name)) for name in ("tokenizer", "tokens")}
        identity = asdict(arguments) | {"inputs": inputs}
        self.checkpoints = Checkpoints(arguments.checkpoint_dir, identity, arguments.keep_checkpoints, accelerator)
        self.checkpoints.attach(self.model)
        steps = curve_steps(arguments.curve, self.max_steps)
        self.curve = Curve(self.checkpoints.folder / FOLDER, steps, accelerator)

    def learning_rate(self, step: int) -> float:
        return learning_rate(step, self.max_steps, self.arguments)

    def take_step(self, step: int) -> tuple[torch.Tensor, torch.Tensor | float]:
        """Take optimizer step `step`; return this process's mean loss and the gradient's norm, both still unread.

        Nothing here waits for a GPU: the host prepares the next batch while the last one is computed.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate(step)
        total = torch.zeros((), device=self.accelerator.device)
        norm: torch.Tensor | float = 0.0
        for input_ids, labels in read_step(self.stream, self.plan, step, self.accelerator.device):
            with self.accelerator.accumulate(self.parallel):
                loss = self.parallel(input_ids, labels)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(self.parallel.parameters(), self.arguments.max_grad_norm)
                self.optimizer.step()
                self.optimizer.zero_grad()
            total += loss.detach()
        return total / self.plan.micro_batches, norm

    def read_steps(
        self, steps: list[tuple[torch.Tensor, torch.Tensor | float]], last_step: int
    ) -> tuple[list[float], float]:
        """Return the losses of the steps up to `last_step`, means over all processes, and the last gradient's norm.

        Raises UserError for the first loss or norm that is not finite: after such a norm the weights are not either.
        """
        losses = self.accelerator.reduce(torch.stack([loss for loss, _ in steps]), "mean").tolist()
        norms = torch.stack([torch.as_tensor(norm, device=self.accelerator.device) for _, norm in steps]).tolist()
        for step, loss, norm in zip(range(last_step - len(steps) + 1, last_step + 1), losses, norms, strict=True):
            self.check_finite("loss", loss, step)
            self.check_finite("norm of the gradient", norm, step)
        return losses, norms[-1]

    def check_finite(self, what: str, value: float, step: int) -> None:
        """Raise UserError when a number of step `step` is not finite, before it is logged or saved."""
        if not math.isfinite(value):
            kept = self.checkpoints.paths()
            raise UserError(
                f"the {what} was {value} at step {step} (learning rate {self.learning_rate(step):.3g}): training "
                f"stopped; the last good checkpoint is {kept[-1] if kept else 'none'}. Lower "
                "pretrain.learning_rate or lengthen pretrain.warmup_steps"
            )

    def close(self) -> None:
        """End the trackers and the connection between processes; nothing can be trained after it.

        The wrapped model goes first. It keeps the connection, and as the last to do so it would end it with Python's
        lock held, for which a thread of the connection may be waiting: one job of a hundred never came to its end.
        """
        del self.parallel, self.optimizer
        self.accelerator.free_memory()
        gc.collect()
        self.accelerator.end_training()

    def peak_memory(self) -> int:
        """Return the peak memory in bytes of this process: on its GPU if it has one, else in RAM."""
        if self.accelerator.device.type == "cuda":
            return torch.cuda.max_memory_allocated()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
