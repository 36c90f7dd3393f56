"""Print the ledger of a run as a table, a column for each stage.

python evals/ledger_view.py outputs/smoke/mulfact/seed-0/ledger.json
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mulfact.errors import UserError, command
from mulfact.text_files import read_json


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Print the ledger of a run.")
    parser.add_argument("ledger", type=Path, help="ledger.json of a run")
    ledger = parser.parse_args().ledger
    if not ledger.is_file():
        raise UserError(f"{ledger} is missing: make eval of that run writes it")
    show(read_json(ledger))


def show(ledger: dict[str, Any]) -> None:
    """Print the fields that arms must share, then those that are reported."""
    table = Table(title="Compute ledger")
    table.add_column("field", no_wrap=True)
    stages = ledger["stages"]
    for stage in stages:
        table.add_column(stage, justify="right")
    for part in ("matched", "reported"):
        fields = dict.fromkeys(name for stage in stages.values() for name in stage[part])
        for name in fields:
            table.add_row(name, *(readable(stage[part].get(name)) for stage in stages.values()))
        table.add_section()
    Console().print(table)


def readable(value: Any) -> str:
    """Return a field as short text: thousands in groups, large counts in powers of ten."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{key} {readable(item)}" for key, item in value.items())
    if isinstance(value, bool | str | list):
        return str(value)
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


if __name__ == "__main__":
    main()
