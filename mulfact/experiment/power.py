"""The smallest effect that a planned experiment can see: by accuracy, seeds, and how much seeds differ.

python -m mulfact.experiment.power --items 1319          # the table of docs/protocol.md
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mulfact.errors import command

ACCURACIES = (0.04, 0.25, 0.6)
SEED_SDS = (0.0, 0.01, 0.02, 0.05)
SEEDS = (3, 5, 8, 16)


def power_table(items: int, planned_seeds: int, measured: tuple[float, float] | None = None) -> Table:
    """Return the smallest difference found with 80% power, in points; `measured` is an accuracy and its seeds' SD."""
    from mulfact.evals.comparison.significance import planned_effect  # with scipy, which takes seconds to import

    columns = sorted({planned_seeds, *SEEDS} - {1})
    table = Table(title=f"Smallest difference found with 80% power, in points ({items:,} items)")
    for name in ("accuracy", "SD between seeds", *(f"{seeds} seeds" for seeds in columns)):
        table.add_column(name, justify="right")
    rows = [(accuracy, sd, "") for accuracy in ACCURACIES for sd in SEED_SDS]
    for accuracy, sd, note in [*rows, *([(*measured, " (measured)")] if measured else [])]:
        effects = [100 * planned_effect(accuracy, items, seeds, sd) for seeds in columns]
        table.add_row(f"{accuracy:.0%}", f"{100 * sd:.1f}{note}", *(f"{effect:.1f}" for effect in effects))
        if sd == SEED_SDS[-1]:
            table.add_section()
    return table


def measured_seeds(report: Path) -> tuple[float, float] | None:
    """Return accuracy and SD between seeds, items' noise taken out, of the reference in an earlier report's primary.

    None without a report of several seeds.
    """
    try:
        results = json.loads((report / "results.json").read_text())
        primary = next(row for row in results["differences"] if row["primary"])
        place = (results["reference"], primary["stage"], primary["task"])
        row = next(row for row in results["accuracy"] if (row["condition"], row["stage"], row["task"]) == place)
        noise = row["mean"] * (1 - row["mean"]) / row["items"]
        return row["mean"], max(row["sd"] ** 2 - noise, 0.0) ** 0.5
    except (OSError, ValueError, LookupError, TypeError, StopIteration):
        return None


def markdown(items: int, seeds: Sequence[int] = SEEDS) -> str:
    """Return the same table as docs/protocol.md has it."""
    from mulfact.evals.comparison.significance import planned_effect

    names = "".join(f" {count} seeds |" for count in seeds)
    lines = [f"| accuracy | SD between seeds |{names}", "|--:|--:|" + "--:|" * len(seeds)]
    for accuracy in ACCURACIES:
        for sd in SEED_SDS:
            effects = (f" {100 * planned_effect(accuracy, items, count, sd):.1f} |" for count in seeds)
            lines.append(f"| {accuracy:.0%} | {100 * sd:.0f} |{''.join(effects)}")
    return "\n".join(lines)


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Show the smallest effect that a design can see.")
    parser.add_argument("--items", type=int, default=1319, help="of the primary outcome")
    parser.add_argument("--seeds", type=int, default=3, help="how many are planned")
    parser.add_argument("--markdown", action="store_true", help="as docs/protocol.md has it")
    options = parser.parse_args()
    if options.markdown:
        print(markdown(options.items))
    else:
        Console().print(power_table(options.items, options.seeds))


if __name__ == "__main__":
    main()
