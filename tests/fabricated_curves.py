"""Curves of pairs of halves as evals/curve.py leaves them, made up: who has which token, and what that changes."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mulfact.halves import half_names
from mulfact.layout import output_of, run_folder
from mulfact.provenance import stage_output, write_json

STEPS = [10, 30, 90, 270]
SIGNS = {"products": "*", "sums": "+"}
Unit = tuple[int, int]
UNITS = [(a, b) for a in range(1, 10) for b in range(a, 10)]
Change = Callable[[Unit, int], float]  # bits that a token adds to a unit at a step


def draw(seed: int, size: int = 22) -> set[Unit]:
    """Return a random half of the units."""
    order = np.random.default_rng(seed).permutation(len(UNITS))
    return {UNITS[index] for index in order[:size]}


def write_pair(shared_dir: Path, pair: int, change: Change, helped: Callable[[set[Unit]], set[Unit]] = set) -> None:
    """Write the two runs of a pair of halves of `facts`.

    `helped` says which units the tokens of a half change, by default those that have one.
    """
    first = draw(pair)
    for name, half in zip(half_names("facts", pair), (first, set(UNITS) - first), strict=True):
        write_curve(run_folder(shared_dir, name, pair), pair, half, helped(half), change)


def write_curve(run: Path, seed: int, half: set[Unit], helped: set[Unit], change: Change) -> None:
    """Write one run: harder facts, a level of the run, noise, and the change of the helped units' products."""
    random = np.random.default_rng([seed, len(half)])
    level, rows, facts = random.normal(0, 1), [], []
    for task, a, b in product(SIGNS, range(1, 10), range(1, 10)):
        unit, text = (min(a, b), max(a, b)), f"{a}{SIGNS[task]}{b}"
        token = f"<MUL_{a}_{b}>" if task == "products" and unit in half else None
        count = 100 * a * b if token else None
        facts.append({"task": task, "unit": text, "operands": [a, b], "token": token, "count": count})
        for step, form in product(STEPS, ("plain", "question")):
            bits = 40 / step**0.5 + 0.05 * a * b + level + random.normal(0, 0.3)
            bits += change(unit, step) if task == "products" and unit in helped else 0.0
            rows.append({"task": task, "unit": text, "form": form, "step": step, "bits": bits, "correct": bits < 1})
    with stage_output(output_of(run, "curve"), {"seed": seed}) as folder:
        pd.DataFrame(rows).to_parquet(folder / "scores.parquet")
        points: list[dict[str, Any]] = [{"step": s, "tokens": 100 * s, "bytes": 300 * s + len(half)} for s in STEPS]
        write_json(folder / "curve.json", {"points": points, "facts": facts})
