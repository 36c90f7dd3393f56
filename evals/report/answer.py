"""The answer of an experiment in a terminal: headline, primary row, table, where the report is.

`make show` prints it within a second, so nothing is imported here that takes longer than that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from mulfact.evals.comparison.decisions import decided, points

Results = Mapping[str, Any]


def print_answer(results: Results, folder: Path) -> None:
    """Print what an experiment has found; `folder` is that of its report."""
    console = Console()
    console.print(summary_table(results))
    for entry in results["differences"]:
        if entry["primary"]:
            console.print(primary_row(entry, results), soft_wrap=True, markup=False)
    for sentence in (results["conclusion"]["headline"], results["protocol"]["fallback"]):
        if sentence:
            console.print(sentence, style="bold", markup=False)
    console.print(f"The report: {folder / 'report.html'} (also results.md, results.json)", soft_wrap=True, markup=False)


def primary_row(entry: Mapping[str, Any], results: Results) -> str:
    """Return a primary difference with its interval in a line."""
    low, high = (points(end) for end in entry["interval"])
    return (
        f"primary: {entry['condition']} against {entry['reference']}, {entry['task']} after {entry['stage']}: "
        f"{points(entry['difference'])} points, {results['confidence_level']:.0%} interval {low} to {high}, "
        f"{len(results['seeds'])} seed{'s' if len(results['seeds']) > 1 else ''}, {entry['items']} items"
    )


def summary_table(results: Results) -> Table:
    """Return accuracies by stage, task and arm, with the differences to the reference, for the terminal."""
    legend = "Exploratory." if results["exploratory"] else "* decided by the protocol's rule."
    table = Table(title="Accuracy in %", caption=f"In brackets: points above {results['reference']}. {legend}")
    table.add_column("stage")
    table.add_column("task")
    for arm in results["conditions"]:
        table.add_column(arm, justify="right")
    for stage, rows in summary(results, whole=True).items():
        for index, row in enumerate(rows):
            cells = [summary_cell(row["cells"].get(arm), results) for arm in results["conditions"]]
            table.add_row("" if index else stage, row["task"], *cells, style="bold" if row["primary"] else "")
        table.add_section()
    return table


def summary_cell(cell: dict[str, Any] | None, results: Results) -> str:
    """Return accuracy and difference in few characters: five arms have to stand side by side."""
    if cell is None:
        return "–"
    text, difference = f"{100 * cell['accuracy']['mean']:.1f}", cell["difference"]
    if difference is None:
        return text
    return f"{text} ({points(difference['difference'])}{'*' if decided(difference, results) else ''})"


def summary(results: Results, whole: bool) -> dict[str, list[dict[str, Any]]]:
    """Return for each stage a row for each task, with the accuracy and the difference of each arm.

    The stage of the primary outcome comes first. `whole`: of whole tasks and the primary outcome; else of their parts.
    """
    differences = {(row["stage"], row["task"], row["condition"]): row for row in results["differences"]}
    stages: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in results["accuracy"]:
        stage, task, arm = entry["stage"], entry["task"], entry["condition"]
        row = {"task": task, "items": entry["items"], "primary": False, "cells": {}}
        row = stages.setdefault(stage, {}).setdefault(task, row)
        difference = differences.get((stage, task, arm))
        row["primary"] |= bool(difference and difference["primary"])
        row["cells"][arm] = {"accuracy": entry, "difference": difference}
    ordered = sorted(stages.items(), key=lambda item: not any(row["primary"] for row in item[1].values()))
    return {stage: [row for row in rows.values() if is_shown(row, results, whole)] for stage, rows in ordered}


def is_shown(row: dict[str, Any], results: Results, whole: bool) -> bool:
    part = results["benchmarks"][row["task"]]["stratum_of"] is not None
    return not part or row["primary"] if whole else part
