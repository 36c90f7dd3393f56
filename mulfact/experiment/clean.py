"""What `make clean` is about to remove: its finished trainings and data, and the hours that they took.

make clean SCALE=pilot AGAIN=1
python -m mulfact.experiment.clean outputs/pilot      # asks, and removes nothing: make does

Finished training, or data that took long, wants AGAIN=1, as wherever it would be made again.
"""

import argparse
import os
from pathlib import Path

from mulfact.errors import UserError, command
from mulfact.experiment.cells import Cell, seconds_taken
from mulfact.experiment.standing import is_dear
from mulfact.layout import CONDITION_STAGES, RUN_STAGES, SHARED_STAGES


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Say what make clean removes; an error where it wants AGAIN=1.")
    parser.add_argument("folder", type=Path, help="what make calls the scale's outputs")
    folder = parser.parse_args().folder
    made = finished(folder)
    dear = {cell: seconds for cell, seconds in made.items() if is_dear(cell, seconds)}
    count = f"{len(made)} finished stage{'s' if len(made) != 1 else ''}"
    told = f"{folder}: {count} that took {sum(made.values()) / 3600:.2f} hours"
    if dear and not os.environ.get("AGAIN"):
        named = "; ".join(f"{cell.name} ({seconds / 3600:.2f} h)" for cell, seconds in dear.items())
        raise UserError(f"{told} would be removed, among them {named}. Say make clean AGAIN=1 if that is meant")
    print(f"removing {told}")


def finished(folder: Path) -> dict[Cell, float]:
    """Return the finished stages below the folder of an experiment, with the seconds that each took."""
    levels = {"": SHARED_STAGES, "*": CONDITION_STAGES, "*/seed-*": RUN_STAGES}
    found: dict[Cell, float] = {}
    for pattern, stages in levels.items():
        for level in sorted(folder.glob(pattern)) if pattern else [folder]:
            cells = [Cell(level.relative_to(folder).as_posix() if pattern else "", stage) for stage in stages]
            found |= {
                cell: seconds_taken(cell.product(folder)) or 0.0 for cell in cells if cell.product(folder).is_file()
            }
    return found


if __name__ == "__main__":
    main()
