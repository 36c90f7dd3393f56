"""When facts are learned: accuracy and bits over tokens and bytes, and the tokens until each fact is known for good.

    results["learning"] = learning(runs)

It rests on the points that pretraining kept (pretrain.curve) and on what evals/curve.py asked of them.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mulfact.errors import UserError
from mulfact.evals.comparison.runs import Run
from mulfact.evals.curves.records import CURVE, KNOWN_BITS, RunCurve, read_curve, survival
from mulfact.evals.evaluation.embeddings import EMBEDDINGS
from mulfact.layout import output_of
from mulfact.provenance import PROVENANCE

Curves = dict[tuple[str, int], RunCurve]


def curve_folders(runs: Mapping[tuple[str, int], Run]) -> list[Path]:
    """Return what evals/curve.py wrote for each run; nothing where any run lacks it, as one that was pulled does."""
    folders = [output_of(run.folder, "curve") for run in runs.values()]
    return folders if all((folder / CURVE).is_file() for folder in folders) else []


def halves_folders(shared_dir: Path) -> list[Path]:
    """Return the finished pages of halves of any arm at this scale (evals/halves.py)."""
    return sorted(path.parent for path in shared_dir.glob(f"halves/*/report/{PROVENANCE}"))


def read_halves(folder: Path) -> dict[str, Any]:
    """Return the content of halves.json. Raises UserError where it cannot be read."""
    try:
        return json.loads((folder / "halves.json").read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}/halves.json cannot be read ({error!r}): run make halves again") from error


def embeddings(runs: Mapping[tuple[str, int], Run]) -> list[dict[str, Any]]:
    """Return what the embeddings of each checkpoint's fact tokens tell, with the facts of each arm's first seed."""
    rows: list[dict[str, Any]] = []
    for (condition, seed), run in runs.items():
        first = all(row["condition"] != condition or row["seed"] == seed for row in rows)
        for stage in run.stages:
            path = output_of(run.folder, "eval") / stage / EMBEDDINGS
            if path.is_file():
                means = json.loads(path.read_text())
                facts = means["facts"] if first else []
                rows.append({"condition": condition, "seed": seed, "stage": stage, **means, "facts": facts})
    return rows


def learning(runs: Mapping[tuple[str, int], Run]) -> dict[str, Any] | None:
    """Return the curves of every run and what they say of each fact; None where any run has none."""
    if not curve_folders(runs):
        return None
    curves = {key: read_curve(run.folder) for key, run in runs.items()}
    if not all(curve.points for curve in curves.values()):
        return None
    conditions = list(dict.fromkeys(condition for condition, _ in curves))
    return {
        "known_bits": KNOWN_BITS,
        "curves": [entry for key, curve in curves.items() for entry in mean_curves(*key, curve)],
        "known": [
            entry
            for condition in conditions
            for entry in known_facts(condition, [curve for key, curve in curves.items() if key[0] == condition])
        ],
    }


def mean_curves(condition: str, seed: int, curve: RunCurve) -> list[dict[str, Any]]:
    """Return for each kind of fact and prompt form the mean bits and the accuracy at each point of a run."""
    entries = []
    for task, form in curve.forms:
        bits, correct = (curve.values(measure, task, form).mean() for measure in ("bits", "correct"))
        points = [
            {**point, "bits": float(bits[point["step"]]), "correct": float(correct[point["step"]])}
            for point in curve.points
        ]
        entries.append({"condition": condition, "seed": seed, "task": task, "form": form, "points": points})
    return entries


def known_facts(condition: str, curves: list[RunCurve]) -> list[dict[str, Any]]:
    """Return for each kind of fact and prompt form of an arm when its facts were known, over its seeds.

    Of each fact the median over seeds, null where half of them or more never knew it, and `unknown`, the share of all
    facts and seeds that do not know their fact yet at each of the first seed's points.
    """
    entries = []
    for task, form in curves[0].forms:
        table = pd.concat([curve.until_known(task, form) for curve in curves], axis=1)
        medians = table.fillna(np.inf).median(axis=1).replace(np.inf, np.nan)
        operands = {fact["unit"]: fact["operands"] for fact in curves[0].facts if fact["task"] == task}
        entries.append(
            {
                "condition": condition,
                "task": task,
                "form": form,
                "never": int(table.isna().to_numpy().sum()),
                "of": int(table.size),
                "tokens": curves[0].tokens.tolist(),
                "unknown": survival(table.to_numpy().ravel(), curves[0].tokens).tolist(),
                "facts": [
                    {"unit": unit, "operands": operands[unit], "tokens": None if np.isnan(median) else float(median)}
                    for unit, median in medians.items()
                ],
            }
        )
    return entries
