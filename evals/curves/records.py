"""What a run's curve says: its scores as a table, and how many tokens it took until a fact was known for good.

curve = read_curve(Path("outputs/smoke/mulfact/seed-0"))
known = tokens_until_known(curve.bits("products", "plain"), curve.tokens)
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from mulfact.errors import UserError
from mulfact.layout import make_again, make_command, output_of

CURVE, SCORES = "curve.json", "scores.parquet"  # in the output of evals/curve.py
KNOWN_BITS = 1.0  # a fact is known where its answer has at least even odds


@dataclass(frozen=True)
class RunCurve:
    """The curve of one run: its points, its facts, and a row of scores for each point, fact and prompt form."""

    points: list[dict[str, int]]
    facts: list[dict[str, Any]]
    scores: pd.DataFrame

    @property
    def steps(self) -> list[int]:
        return [point["step"] for point in self.points]

    @property
    def tokens(self) -> np.ndarray:
        return np.array([point["tokens"] for point in self.points])

    @cached_property
    def forms(self) -> list[tuple[str, str]]:
        """The pairs of task and prompt form, in their order."""
        return list(dict.fromkeys(zip(self.scores["task"], self.scores["form"], strict=True)))

    def values(self, measure: str, task: str, form: str) -> pd.DataFrame:
        """Return a measure, bits or correct, with a row for each unit in their order and a column for each step."""
        rows = self.scores[(self.scores["task"] == task) & (self.scores["form"] == form)]
        table = rows.pivot_table(measure, "unit", "step", aggfunc="mean", sort=False)
        return table.astype(float)[self.steps]

    def until_known(self, task: str, form: str) -> pd.Series:
        """Return the tokens until each unit was known for good, NaN where it never was."""
        bits = self.values("bits", task, form)
        return pd.Series(tokens_until_known(bits.to_numpy(), self.tokens), index=bits.index)


def read_curve(run: Path) -> RunCurve:
    """Return the curve of a run's folder. Raises UserError when it is missing, damaged or empty."""
    folder = output_of(run, "curve")
    if not (folder / CURVE).is_file():
        raise UserError(f"{folder} holds no {CURVE}: {make_command(run, 'curve')} writes it")
    try:
        record = json.loads((folder / CURVE).read_text())
        curve = RunCurve(record["points"], record["facts"], pd.read_parquet(folder / SCORES))
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{folder} cannot be read ({error!r}): {make_again(run, 'curve')}") from error
    return curve


def tokens_until_known(bits: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the tokens at the first point from which each fact's answer stays under KNOWN_BITS, (facts,).

    `bits` is (facts, points). NaN for a fact that is not known at the last point: how long it would have taken lies
    beyond the run (it is censored).
    """
    below = bits < KNOWN_BITS
    stays = np.logical_and.accumulate(below[:, ::-1], axis=1)[:, ::-1]
    return np.where(stays[:, -1], tokens[stays.argmax(axis=1)], np.nan)


def survival(until: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the share of facts that are not known yet at each point, (points,); NaN in `until`: never known.

    All facts are followed to the same last point, so Kaplan and Meier's estimate is this plain share.
    """
    return np.array([1 - np.mean(until <= point) for point in tokens])  # NaN is at no point
