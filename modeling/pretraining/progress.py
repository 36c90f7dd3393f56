"""What a run tells while it runs: a line for a person, and a line of JSON for the report."""

import json
import math
from pathlib import Path
from typing import Any


class MetricsLog:
    """metrics.jsonl beside the checkpoints: the whole curve, each step once."""

    def __init__(self, path: Path, resumed_step: int, enabled: bool) -> None:
        """Open the log; what was written after `resumed_step` is dropped, for it is computed again."""
        self.path, self.enabled = path, enabled
        if not enabled:
            return
        lines = path.read_text().splitlines(keepends=True) if path.is_file() and resumed_step else []
        kept = [line for line in lines if (step := step_of(line)) is not None and step <= resumed_step]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".partial")
        temporary.write_text("".join(kept))
        temporary.replace(path)

    def write(self, record: dict[str, Any]) -> None:
        if self.enabled:
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")


def step_of(line: str) -> int | None:
    """Return the step of a record; None for half a line, as a killed run may leave it."""
    try:
        return json.loads(line)["step"]
    except (ValueError, TypeError, KeyError):
        return None


class Progress:
    """Lines of step, loss, bits per byte, speed and time left; whole lines, so that two runs can share a screen."""

    def __init__(self, label: str, max_steps: int, price_per_hour: float | None, enabled: bool) -> None:
        """Prepare the lines of a run; `price_per_hour` is that of all its devices."""
        self.label, self.max_steps, self.price_per_hour, self.enabled = label, max_steps, price_per_hour, enabled

    def start(self, resumed_step: int, parameters: int, epochs: float) -> None:
        """Print what is about to be trained, and from where."""
        self._print(resumed_step, f"{parameters:,} parameters, {epochs:.2f} epochs of the corpus")

    def training(
        self,
        record: dict[str, Any],
        bits_per_byte: float,
        seconds_per_step: float,
        utilization: float | None,
        seconds: float,
    ) -> None:
        """Print the line of a log step: `record` is what metrics.jsonl gets, `seconds` the time since the start."""
        parts = [
            f"loss {record['loss']:.4f}",
            f"bits/byte {bits_per_byte:.3f}",
            f"{record['tokens_per_second']:,.0f} tok/s",
            f"ETA {clock(seconds_per_step * (self.max_steps - record['step']))}",
        ]
        if utilization is not None:
            parts.insert(3, f"MFU {utilization:.1%}")
        if self.price_per_hour is not None:
            parts.append(f"${seconds / 3600 * self.price_per_hour:,.2f}")
        self._print(record["step"], "  ".join(parts))

    def validation(self, step: int, result: dict[str, Any]) -> None:
        """Print the line of a validation."""
        free = result["canonical_bits_per_byte_fact_free"]
        self._print(
            step,
            f"validation loss {result['loss']:.4f}  bits/byte {result['canonical_bits_per_byte']:.4f} "
            f"(as spelled {result['bits_per_byte']:.4f})" + ("" if free is None else f"  fact-free {free:.4f}"),
        )

    def _print(self, step: int, text: str) -> None:
        if self.enabled:
            print(f"{self.label}  step {step:>{len(str(self.max_steps))}}/{self.max_steps}  {text}", flush=True)


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
