"""How an experiment stands: which cells are finished, why the others are not, and what running them would throw away.

standing = judge(Path("outputs/smoke"), recipes)     # {cell: findings}, by mulfact/finished.py
settle(Path("outputs/smoke"), standing)              # renews time stamps: make, which goes by them, sees the same
"""

import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from mulfact.experiment.cells import Cell
from mulfact.finished import Findings, Hashes, current_hash, examine
from mulfact.layout import CONDITION_STAGES, READINESS, RUN_STAGES, STOPPED, TRAINED, output_of
from mulfact.modeling.posttraining.readiness_record import is_stopped
from mulfact.modeling.pretrain_arguments import HOUSEKEEPING
from mulfact.provenance import PROVENANCE, read_provenance

KEPT_HASHES = ".hashes.json"
# Settings that change nothing of what a stage makes: how fast it is made, how often it is saved and told; the
# last two stand in records of older versions.
FREE = {"corpus": ("num_workers",), "tokens": ("num_workers",), "pretrain": HOUSEKEEPING,
        **dict.fromkeys(("sft", "grpo"), ("report_to", "project", "env.TRACKIO_DIR"))}  # fmt: skip
# Stages whose product changes with their recipe, and with it what is trained on it.
DECISIVE = ("corpus", "base_tokenizer", "posttrain", "tokenizer", *TRAINED)
CHECKPOINTS = [output_of(Path(), stage).name for stage in TRAINED]
LARGE_DATA, LONG = ("corpus", "tokens"), 3600.0  # data that took more seconds are not thrown away unasked either
Standing = dict[Cell, Findings]
Recipe = Mapping[str, Any]


def cell_of(recipe: Path) -> tuple[Path, Cell]:
    """Return the scale's folder and the cell to which a flat recipe belongs, by its path."""
    level, stage = recipe.parent.parent, recipe.stem
    if stage in CONDITION_STAGES:
        return level.parent, Cell(level.name, stage)
    if stage in RUN_STAGES:
        return level.parent.parent, Cell(f"{level.parent.name}/{level.name}", stage)
    return level, Cell("", stage)


def judge(folder: Path, recipes: Mapping[Cell, Recipe], keep: bool = True) -> Standing:
    """Return how each cell stands; `recipes` are in the order in which their stages run.

    `keep` what was learned about files, so that the next call need not read them.
    """
    hashes = Hashes(folder / KEPT_HASHES)
    standing: Standing = {}
    waiting: set[str] = set()
    for cell, recipe in recipes.items():
        standing[cell] = examine_cell(folder, cell, recipe, hashes, waiting)
        if not standing[cell].finished:
            waiting.add(str(output_of(folder / cell.level, cell.stage)))
    if keep:
        hashes.save()
    return standing


def examine_cell(
    folder: Path, cell: Cell, recipe: Recipe, hashes: Hashes, waiting: Collection[str] = frozenset()
) -> Findings:
    """Return what keeps a cell from being finished; the folders in `waiting` are made before it."""
    run = folder / cell.level
    if cell.stage == "ledger":
        return examine_ledger(run, hashes, waiting)
    found = examine(output_of(run, cell.stage), recipe, hashes, FREE.get(cell.stage, ()), waiting)
    if cell.stage == "grpo":
        return behind_the_gate(run, found, waiting)
    if found.finished:
        found.inputs = other_inputs(run, cell.stage, recipe)
    return found


def other_inputs(run: Path, stage: str, recipe: Recipe) -> list[str]:
    """Return what a finished stage has read and ought not, or has not and ought, its recipe being the same."""
    if stage == "eval":
        read = [path for path in inputs_of(run, stage) if Path(path).name in CHECKPOINTS]
        read = [Path(path).name for path in read]
        expected = [Path(path).name for path in recipe["checkpoints"].values()]
        return sorted(set(read) ^ (set(expected) - ({"grpo_final"} if is_stopped(run) else set())))
    if stage == "corpus" and any(source.get("files") for source in recipe["sources"]):
        from mulfact.data_builders.sources.finding import find_files  # which loads pyarrow

        files = [str(path) for source in recipe["sources"] for path in find_files(source.get("files") or [])]
        return sorted({path for path in inputs_of(run, stage) if Path(path).name != "benchmarks"} ^ set(files))
    return []


def inputs_of(run: Path, stage: str) -> list[str]:
    """Return the paths that a finished stage's record names as its inputs."""
    return list(read_provenance(output_of(run, stage))["inputs"])


def behind_the_gate(run: Path, found: Findings, waiting: Collection[str]) -> Findings:
    """Return how GRPO stands, of which its gate has `found` or would find something else."""
    stopped, readiness = run / STOPPED, output_of(run, READINESS)
    if str(readiness) in waiting:
        if stopped.is_file() or not found.missing:
            found.missing = False
            found.waiting.append(str(readiness))
        return found
    if is_stopped(run):
        return Findings(missing=not stopped.is_file())
    return Findings(missing=True, seconds=found.seconds) if stopped.is_file() and found.finished else found


def examine_ledger(run: Path, hashes: Hashes, waiting: Collection[str]) -> Findings:
    """Return how the account of a run stands: it names the checkpoints that it was made from."""
    try:
        recorded = json.loads(output_of(run, "ledger").read_text(encoding="utf-8"))["inputs"]
    except FileNotFoundError:
        return Findings(missing=True)
    except (OSError, ValueError, KeyError, TypeError):
        return Findings(broken=["ledger.json"])
    found = Findings()
    folders = [output_of(run, stage) for stage in TRAINED if stage != "grpo" or not is_stopped(run)]
    for folder in folders:
        if str(folder) in waiting:
            found.waiting.append(str(folder))
        elif not (folder / PROVENANCE).is_file() or current_hash(folder, hashes) != recorded.get(folder.name):
            found.inputs.append(str(folder))
    if len(recorded) != len(folders):
        found.inputs.append("another number of checkpoints")
    return found


def is_dear(cell: Cell, seconds: float | None) -> bool:
    """Return whether a finished stage may not be thrown away unasked: a training, or data that took long."""
    return cell.stage in TRAINED or (cell.stage in LARGE_DATA and (seconds or 0.0) > LONG)


def loses(cell: Cell, found: Findings) -> bool:
    """Return whether making a stage again throws away what is dear; tokens of the same text are taken up whole."""
    return is_dear(cell, found.seconds) and not found.missing and (cell.stage != "tokens" or bool(found.inputs))


def discarded(folder: Path, standing: Standing) -> dict[Cell, str]:
    """Return the finished trainings, and other long work, that would be made again for certain, each with the reason.

    What waits for data that may come out as they were is not among them: it is asked for when they have.
    """
    new: set[str] = set()
    lost: dict[Cell, str] = {}
    for cell, found in standing.items():
        behind = [path for path in found.waiting if path in new]
        if cell.stage not in DECISIVE and not behind:
            continue
        data = [path for path in found.inputs if Path(path).name != "benchmarks"]
        if found.changed or data or behind or (cell.stage in TRAINED and found.broken):
            new.add(str(output_of(folder / cell.level, cell.stage)))
            if is_dear(cell, found.seconds) and not found.missing:
                names = ", ".join(Path(path).name for path in behind)
                lost[cell] = f"made from another: {names}" if behind and not found.changed else str(found)
    return lost


def settle(folder: Path, standing: Standing, recipes: Iterable[Path] = ()) -> None:
    """Give each product the time stamp by which make sees how it stands: renewed when finished, else that of 1970.

    `recipes` are the files that make holds against the products as well.
    """
    newest = {"": max((modified(path) for path in recipes), default=0)}
    for cell, found in standing.items():
        for path in filter(Path.is_file, cell.ends(folder)):
            if not found.finished:
                os.utime(path, (0, 0))
                continue
            least = max(newest[level] for level in newest if may_rest_on(cell, level))
            if modified(path) < least:
                os.utime(path, ns=(least, least))
            newest[cell.level] = max(newest.get(cell.level, 0), modified(path))


def may_rest_on(cell: Cell, level: str) -> bool:
    """Return whether a cell may rest on what lies on a level: its own, its arm's or the shared one."""
    return not level or cell.stage == "compare" or f"{cell.level}/".startswith(f"{level}/")


def modified(path: Path) -> int:
    return path.stat().st_mtime_ns if path.is_file() else 0
