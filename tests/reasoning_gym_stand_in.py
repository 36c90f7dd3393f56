"""What stands in for reasoning-gym: the same form of entries, from a generator of our own."""

import random
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mulfact.data_builders.problem_sets import reasoning_gym_probes


def create_dataset(name: str, seed: int, size: int, max_digits: int = 2, **_: int) -> Iterator[dict[str, Any]]:
    """Yield entries of one of the three generators; small numbers come up again, as they do there."""
    for index in range(size):
        chosen = random.Random(seed + index)
        a, b = (chosen.randrange(1, 10**max_digits) for _ in range(2))
        if name == "gsm_symbolic":
            yield {"question": f"{a} pens and {b} more?", "answer": str(a + b), "metadata": {"answer_cot": "..."}}
            continue
        sign, value = ("*", a * b) if name == "products" else ("-", a - b)
        expression = f"{a} {sign} {b}"
        yield {"question": f"Solve: {expression}.", "answer": str(value), "metadata": {"expression": expression}}


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the probes find this generator where they would find the package."""
    monkeypatch.setitem(sys.modules, "reasoning_gym", SimpleNamespace(create_dataset=create_dataset))
    monkeypatch.setattr(reasoning_gym_probes, "installed_version", lambda name: "0.0")
