"""Read pairs of halves: whether they are what they are called, and their differences unit by unit.

A unit is what was drawn as one: a fact with the one in the other order (6*9 and 9*6), or a token of words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mulfact.errors import UserError
from mulfact.evals.curves.halves import Pair
from mulfact.evals.curves.records import RunCurve, read_curve
from mulfact.halves import runs_of
from mulfact.layout import run_folder

UNTIL_KNOWN = "log2_tokens_until_known"  # a measure beside bits and correct


@dataclass(frozen=True)
class CurvePair:
    """The curves of the two runs of a pair, and the units of which run a has the tokens."""

    names: tuple[str, str]
    first: RunCurve
    second: RunCurve
    drawn: dict[Any, bool]

    def tables(self, measure: str, task: str, form: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Return a measure of both runs, (units, points), of the units that were drawn; UNTIL_KNOWN has one column."""
        tables = []
        for curve in (self.first, self.second):
            if measure == UNTIL_KNOWN:
                # Never known counts as known at the end: the difference to a fact that was is then too small.
                values = np.log2(curve.until_known(task, form).fillna(curve.tokens[-1])).to_frame()
            else:
                values = curve.values(measure, task, form)
            units = {row["unit"]: unit_of(row) for row in curve.facts if row["task"] == task}
            by_unit = values.groupby(values.index.map(units), sort=False).mean()
            tables.append(by_unit.loc[[unit for unit in self.drawn if unit in by_unit.index]])
        return tables[0], tables[1]

    def pair(self, measure: str, task: str, form: str) -> Pair:
        """Return what the test needs: who has which token, and how the runs differ."""
        first, second = self.tables(measure, task, form)
        return Pair(np.array([self.drawn[unit] for unit in first.index]), first.to_numpy() - second.to_numpy())


def read_pairs(shared_dir: Path, arm: str, count: int) -> list[CurvePair]:
    """Return the first `count` pairs of an arm. Raises UserError for runs that are missing or do not make pairs."""
    runs = runs_of(arm, count)
    curves = [read_curve(run_folder(shared_dir, *run)) for run in runs]
    pairs = []
    for index in range(0, len(runs), 2):
        names = (runs[index][0], runs[index + 1][0])
        first, second = curves[index], curves[index + 1]
        check_points(names, first, second, curves[0])
        pairs.append(CurvePair(names, first, second, drawn_units(names, first, second)))
    return pairs


def check_points(names: tuple[str, str], first: RunCurve, second: RunCurve, other: RunCurve) -> None:
    """Raise UserError for curves without points, or with other points than those of the first pair."""
    if not first.points:
        raise UserError(f"{names[0]} kept no points: set pretrain.curve to 24 and train the halves again")
    if not first.steps == second.steps == other.steps:
        raise UserError(
            f"the curves of {names[0]} and {names[1]} have points at other steps than the first pair: train all of "
            "them with the same settings"
        )


def drawn_units(names: tuple[str, str], first: RunCurve, second: RunCurve) -> dict[Any, bool]:
    """Return for each unit that one of the two runs has a token for whether that is the first.

    Raises UserError where both runs have one: then they are no halves.
    """
    owners = [{unit_of(row) for row in curve.facts if row["token"]} for curve in (first, second)]
    if both := owners[0] & owners[1]:
        raise UserError(f"{names[0]} and {names[1]} both have tokens for {', '.join(map(str, sorted(both)))}")
    if not all(owners):
        raise UserError(f"{names[0]} and {names[1]}: a half without a token cannot be compared; halve a longer list")
    known = (unit_of(row) for row in first.facts)
    return {unit: unit in owners[0] for unit in dict.fromkeys(known) if unit in owners[0] | owners[1]}


def unit_of(row: dict[str, Any]) -> Any:
    """Return what a fact was drawn as: its operands in either order, or itself."""
    return row["unit"] if row["operands"] is None else tuple(sorted(row["operands"]))


def tasks_of(pairs: Sequence[CurvePair]) -> dict[str, bool]:
    """Return each task that the drawn units occur in, and whether their tokens stand for it.

    Sums have the operands of products: no token stands for them, and nothing should happen to them.
    """
    tasks: dict[str, bool] = {}
    for row in pairs[0].first.facts + pairs[0].second.facts:
        if unit_of(row) in pairs[0].drawn:
            tasks[row["task"]] = tasks.get(row["task"], False) or bool(row["token"])
    return tasks


def counts_of(pairs: Sequence[CurvePair]) -> dict[Any, float]:
    """Return how often training text holds the token of each unit, the mean over the pairs."""
    counts: dict[Any, list[int]] = {}
    for pair in pairs:
        tokens = {(row["task"], row["token"]): row for row in pair.first.facts + pair.second.facts if row["token"]}
        for unit in pair.drawn:
            counts.setdefault(unit, []).append(sum(row["count"] for row in tokens.values() if unit_of(row) == unit))
    return {unit: float(np.mean(found)) for unit, found in counts.items()}
