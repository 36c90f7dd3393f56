"""What was found, from what is on disk, in a second: nothing is run and nothing is written.

make show                                                              # headline, primary row, table, the report
python -m mulfact.experiment.show outputs/smoke
python -m mulfact.experiment.show --run outputs/smoke/mulfact/seed-0   # accuracies of one run
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mulfact.errors import UserError, command
from mulfact.evals.report.answer import print_answer
from mulfact.layout import TRAINED, output_of, report_folder


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Print the answer of a finished experiment, or the results of a run.")
    parser.add_argument("folder", type=Path, help="what make calls the scale's outputs, or with --run a run's folder")
    parser.add_argument("--run", action="store_true", help="the accuracies of one run")
    options = parser.parse_args()
    if options.run:
        show_run(options.folder)
    else:
        folder = report_folder(options.folder)
        results = read(folder / "results.json", f"make experiment SCALE={options.folder.name} writes it")
        print_answer(results, folder)


def show_run(run: Path) -> None:
    """Print the accuracy of each task after each stage of a run, as its evaluation recorded it."""
    folder = output_of(run, "eval")
    stages: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*_results.json")):
        stages.setdefault(path.parent.name, {}).update(read(path, "make eval writes it")["tasks"])
    if not stages:
        raise UserError(f"{folder} holds no results: make eval of that run writes them")
    order: list[str] = [stage for stage in TRAINED if stage in stages]
    order += [stage for stage in stages if stage not in order]
    table = Table("task", *order, title=f"Accuracy in %: {run}")
    for task in dict.fromkeys(task for stage in order for task in stages[stage]):
        table.add_row(task, *(cell(stages[stage].get(task)) for stage in order))
    Console().print(table)


def cell(task: dict[str, Any] | None) -> str:
    return "" if task is None else f"{100 * task['accuracy']:.1f}"


def read(path: Path, where_from: str) -> Any:
    """Return the content of a JSON file. Raises UserError when it is missing or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {where_from}") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read ({error}): {where_from}") from error


if __name__ == "__main__":
    main()
