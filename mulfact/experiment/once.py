"""Run a stage's command unless its product is finished, and never over finished training or long work unasked.

    python -m mulfact.experiment.once outputs/smoke/recipes/corpus.yaml python data_builders/corpus.py --config ...
    python -m mulfact.experiment.once --unfinished outputs/smoke/*/seed-*/recipes/eval.yaml    # prints those to do

The Makefile puts it in front of each stage: make says what may have to be made, mulfact/finished.py whether it has. Two
commands, on one machine or on several that share the folder, never make a stage at once: the second one waits.
"""

import argparse
import os
from pathlib import Path

import yaml

from mulfact.errors import UserError, command
from mulfact.experiment.cells import Cell
from mulfact.experiment.standing import KEPT_HASHES, cell_of, examine_cell, loses
from mulfact.finished import Hashes
from mulfact.layout import TRAINED
from mulfact.locks import stage_lock


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Run a stage's command unless its product is finished.")
    parser.add_argument("--unfinished", action="store_true", help="run nothing; print which recipes are not finished")
    parser.add_argument("recipe", type=Path, help="the flat recipe of the stage")
    parser.add_argument("words", nargs=argparse.REMAINDER, help="its command; with --unfinished, more recipes")
    options = parser.parse_args()
    if options.unfinished:
        for recipe in (options.recipe, *map(Path, options.words)):
            if not renewed(recipe):
                print(recipe)
        return
    lock = stage_lock(options.recipe)  # which the command takes over
    if renewed(options.recipe):
        print(f"{options.recipe}: finished before, by this recipe from these inputs")
    else:
        os.execvp(options.words[0], options.words)
    lock.close()


def renewed(recipe: Path) -> bool:
    """Return whether the stage of a flat recipe is finished; if so its product gets a new time stamp.

    Raises UserError where a finished training, or other long work, would be lost and nobody has asked for it.
    """
    folder, cell = cell_of(recipe)
    hashes = Hashes(folder / KEPT_HASHES)
    found = examine_cell(folder, cell, yaml.load(recipe.read_text(encoding="utf-8"), yaml.CSafeLoader), hashes)
    hashes.save()
    if found.finished:
        for path in filter(Path.is_file, cell.ends(folder)):
            path.touch()
    elif loses(cell, found) and not os.environ.get("AGAIN"):
        raise UserError(refusal({cell: (str(found), found.seconds)}))
    return found.finished


def refusal(lost: dict[Cell, tuple[str, float | None]]) -> str:
    """Return what is told before finished work would be lost: which, why, and the hours that it took."""
    hours = sum(seconds or 0.0 for _, seconds in lost.values()) / 3600
    named = "; ".join(f"{cell.name} ({why}; {(seconds or 0.0) / 3600:.2f} h)" for cell, (why, seconds) in lost.items())
    work = "training" if all(cell.stage in TRAINED for cell in lost) else "stage"
    finished = f"a finished {work}" if len(lost) == 1 else f"{len(lost)} finished {work}s"
    return (
        f"{finished} of {hours:.2f} hours would be made again: {named}. Say AGAIN=1 if that is meant; to keep both, "
        "give this experiment a folder of its own with OUTPUTS="
    )


if __name__ == "__main__":
    main()
