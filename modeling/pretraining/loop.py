"""The loop of a pretraining run: its steps, with what is logged, validated and saved on the way."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch

from mulfact.errors import UserError
from mulfact.modeling.gpt2.flops import peak_flops
from mulfact.modeling.pretraining.launch import is_lost_connection
from mulfact.modeling.pretraining.preemption import EXIT_STATUS, Preemption
from mulfact.modeling.pretraining.progress import MetricsLog, Progress
from mulfact.modeling.pretraining.run import Pretraining, RunState
from mulfact.modeling.pretraining.trackers import flat


@contextmanager
def telling_of_a_lost_process(run: Pretraining, state: RunState) -> Iterator[None]:
    """Turn the error of a collective whose other side is gone into a UserError."""
    try:
        yield
    except RuntimeError as error:
        if not (run.accelerator.num_processes > 1 and is_lost_connection(error)):
            raise
        kept = run.checkpoints.paths()
        raise UserError(
            f"another process of this job was lost after step {state.step}: it was killed, ran out of memory, "
            "or its machine is gone; its own output says more. The same command goes on from "
            f"{kept[-1] if kept else 'the start: there is no checkpoint yet'} ({str(error).splitlines()[0]})"
        ) from error


class Loop:
    """Goes from the state of a run to its end."""

    def __init__(
        self, run: Pretraining, state: RunState, metrics: MetricsLog, progress: Progress, preemption: Preemption
    ) -> None:
        self.run, self.state, self.metrics, self.progress, self.preemption = run, state, metrics, progress, preemption
        self.arguments = run.arguments
        self.unread: list[tuple[torch.Tensor, torch.Tensor | float]] = []  # loss and norm of steps since the last read
        self.logged = state.step, state.training_seconds
        self.begun = state.seconds, time.perf_counter(), state.step
        self.saved = time.perf_counter()

    def train(self) -> None:
        """Run from the state's step to the last one. Exits with status 143 after a SIGTERM, when it has saved.

        Raises UserError when a GPU's memory is too small, and when another process of the job is gone.
        """
        try:
            with telling_of_a_lost_process(self.run, self.state):
                for step in range(self.state.step + 1, self.run.max_steps + 1):
                    self.advance(step)
        except torch.OutOfMemoryError as error:
            raise UserError(
                f"the memory of {torch.cuda.get_device_name()} does not hold a micro-batch of "
                f"{self.arguments.micro_batch_size} sequences: lower pretrain.micro_batch_size, which changes memory "
                f"and not the step, or set pretrain.loss to chunked ({str(error).splitlines()[0]})"
            ) from error

    def advance(self, step: int) -> None:
        """Take step `step`, and log, validate and save where it is time."""
        begun = time.perf_counter()
        self.unread.append(self.run.take_step(step))
        last = step == self.run.max_steps
        log = last or step % self.arguments.log_steps == 0
        validate = last or step % self.arguments.eval_steps == 0
        save = not last and step % self.arguments.save_steps == 0
        curve = step in self.run.curve.steps
        host_waits = log or validate or save or curve
        stop, due = self.preemption.agreed(step, self.save_is_due(), host_waits)
        save = save or (not last and (stop or due))
        if host_waits or save:  # where the host waits for the device; with several processes it also does above
            losses, norm = self.run.read_steps(self.unread, step)
            self.state.losses += losses
            self.unread = []
        self.state.step = step
        self.state.training_seconds += time.perf_counter() - begun
        self.state.bits_per_byte = None
        if log:
            self.log(norm)
        if validate:
            self.validate()
        if curve:
            self.run.curve.save(self.run.model, self.consumed())
        self.state.seconds = self.begun[0] + time.perf_counter() - self.begun[1]
        self.state.peak_memory_bytes = max(self.state.peak_memory_bytes, self.run.peak_memory())
        if save:
            self.save(stop)

    def save(self, stop: bool) -> None:
        path = self.run.checkpoints.save(self.state.step, asdict(self.state))
        self.saved = time.perf_counter()
        if stop:
            self.run.accelerator.print(f"asked to stop: saved {path}; the same command goes on from there")
            sys.exit(EXIT_STATUS)

    def save_is_due(self) -> bool:
        minutes = self.arguments.save_minutes
        return minutes is not None and time.perf_counter() - self.saved >= 60 * minutes

    def consumed(self) -> dict[str, Any]:
        """Return the step, the tokens up to it and the bytes of raw text that they stand for."""
        tokens = self.state.step * self.arguments.tokens_per_step
        return {"step": self.state.step, "tokens": tokens, "bytes": self.run.raw_bytes(tokens)}

    def log(self, grad_norm: float) -> None:
        """Write the mean loss since the last log line."""
        step, seconds = self.logged
        steps = self.state.step - step
        speed = steps * self.arguments.tokens_per_step / (self.state.training_seconds - seconds)
        record = self.consumed() | {
            "loss": sum(self.state.losses) / len(self.state.losses),
            "learning_rate": self.run.learning_rate(self.state.step),
            "grad_norm": grad_norm,
            "tokens_per_second": round(speed, 1),
        }
        self.publish(record)
        bits_per_byte = record["loss"] / math.log(2) * record["tokens"] / record["bytes"]
        here = time.perf_counter() - self.begun[1]
        self.progress.training(
            record,
            bits_per_byte,
            here / (self.state.step - self.begun[2]),
            self.utilization(speed),
            self.begun[0] + here,
        )
        self.logged = self.state.step, self.state.training_seconds
        self.state.losses = []

    def validate(self) -> None:
        result = self.run.validation.evaluate(self.run.objective, self.run.accelerator, self.arguments.micro_batch_size)
        self.run.check_finite("validation loss", result["loss"], self.state.step)
        self.publish(self.consumed() | {"validation": result})
        self.progress.validation(self.state.step, result)
        self.state.bits_per_byte = result["bits_per_byte"]

    def publish(self, record: dict[str, Any]) -> None:
        """Write a record to metrics.jsonl and to the tracker, if there is one."""
        self.metrics.write(record)
        self.run.accelerator.log(flat(record), step=record["step"])

    def utilization(self, tokens_per_second: float) -> float | None:
        """Return the model's own FLOPs as a share of the devices' peak (MFU); None where the peak is not known."""
        device = self.run.accelerator.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        peak = peak_flops(name)
        if peak is None:
            return None
        flops = self.run.step_flops * tokens_per_second / self.arguments.tokens_per_step
        return flops / (peak * self.run.accelerator.num_processes)
