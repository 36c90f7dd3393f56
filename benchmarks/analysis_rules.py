"""Which rule says best whether two arms differ: coverage and power of a dozen rules in simulated experiments.

    python benchmarks/analysis_rules.py --experiments 100                     # half a minute on one core
    python benchmarks/analysis_rules.py --json analysis_rules.json            # the tables of docs/protocol.md

An experiment has arms, seeds and right-or-wrong items. An arm's true accuracy varies from seed to seed; an item is
harder or easier in every arm (so items are always paired), and somewhat more so in one arm than in another. The
treatment is better than the reference by three true standard errors, which a test that knew them would see in 85% of
the experiments. A rule is told the seeds' accuracies and the items' variances, and gives an interval: it is held
against the true difference (coverage) and against zero (power).
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from mulfact.benchmarks.simulation.rules import RULES
from mulfact.benchmarks.simulation.simulated_experiments import Design, contrasts, simulate, true_error
from mulfact.provenance import write_json

EFFECT = 3.0  # true standard errors
LEVEL = 0.95


def designs() -> Iterator[Design]:
    """Yield every kind of experiment: all of them with normal seeds, a part with skewed ones and with two kinds."""
    for seeds, arms, correlation, ratio, accuracy, noise in itertools.product(
        (3, 5, 8, 16), (2, 4, 6), (0.0, 0.3, 0.6), (1.0, 3.0), (0.05, 0.25, 0.6), (0.0, 1.0, 2.5)
    ):
        if noise > 0 or (correlation == 0 and ratio == 1):
            yield Design(seeds, arms, correlation, ratio, accuracy, noise)
    for kind, seeds, arms, ratio, noise in itertools.product(
        ("skewed", "two"), (3, 5, 8, 16), (2, 4, 6), (1.0, 3.0), (1.0, 2.5)
    ):
        yield Design(seeds, arms, 0.0, ratio, 0.6, noise, kind)


def measure(design: Design, experiments: int, generator: np.random.Generator) -> dict[str, dict[str, float]]:
    """Return {rule: coverage of the tested pairs, power against the effect} of one design."""
    effect = EFFECT * true_error(design)
    found: dict[str, dict[str, list[float]]] = {name: {} for name in RULES}
    for summary in simulate(design, effect, experiments, generator):
        mean = summary.by_seed.mean(axis=2)
        for name, rule in RULES.items():
            for first, second in contrasts(design.arms):
                variance, freedom = rule(summary, first, second)
                half = stats.t.ppf((1 + LEVEL) / 2, freedom) * np.sqrt(variance)
                difference = mean[:, second] - mean[:, first]
                truth = effect * ((second == 1) - (first == 1))
                covered = found[name].setdefault(f"coverage_{first}{second}", [])
                covered.extend(np.abs(difference - truth) <= half)
                if second == 1:
                    found[name].setdefault("power", []).extend(np.abs(difference) > half)
    return {name: {key: float(np.mean(values)) for key, values in of.items()} for name, of in found.items()}


Rows = list[tuple[Design, dict[str, dict[str, float]]]]
HEADER = (
    "rule", "coverage", "0 correlation", "0.3", "0.6", "two kinds", "skewed", "power: 3", "5", "8", "16 seeds",
)  # fmt: skip


def tabulate(rows: Rows) -> list[list[str]]:
    """Return a row for each rule: lowest and highest coverage, and mean power by the number of seeds, in %.

    A coverage is that of one pair by seeds, arms, correlation, SD ratio and kind, over the accuracies and noise ratios.
    """
    normal = [row for row in rows if row[0].kind == "normal"]
    chosen = [
        normal,
        *[[row for row in normal if row[0].correlation == correlation] for correlation in (0.0, 0.3, 0.6)],
        *[[row for row in rows if row[0].kind == kind] for kind in ("two", "skewed")],
    ]
    table = []
    for name in RULES:
        powers = [
            f"{100 * np.mean([of[name]['power'] for design, of in normal if design.seeds == seeds]):.0f}"
            for seeds in (3, 5, 8, 16)
        ]
        table.append([name, *(extremes(part, name) for part in chosen), *powers])
    return table


def extremes(rows: Rows, name: str) -> str:
    """Return the lowest and the highest coverage of a rule."""
    groups: dict[tuple, list[float]] = {}
    for design, of in rows:
        for pair, value in of[name].items():
            if pair.startswith("coverage"):
                place = (design.seeds, design.arms, design.correlation, design.sd_ratio, design.kind, pair)
                groups.setdefault(place, []).append(value)
    means = [100 * float(np.mean(values)) for values in groups.values()]
    return f"{min(means):.1f}–{max(means):.1f}"


def read(path: Path) -> Rows:
    """Return the designs and their numbers from a file that --json wrote."""
    rows = json.loads(path.read_text())["rows"]
    return [(Design(**{key: value for key, value in row.items() if key != "rules"}), row["rules"]) for row in rows]


def show(table: list[list[str]], markdown: bool) -> None:
    """Print the table for the terminal, or as docs/protocol.md has it."""
    if markdown:
        lines = [HEADER, ("---", *["--:"] * (len(HEADER) - 1)), *table]
        print("\n".join(f"| {' | '.join(line)} |" for line in lines))
        return
    shown = Table(title="Coverage and power of 95% intervals, in %")
    for column in HEADER:
        shown.add_column(column, justify="left" if column == "rule" else "right")
    for line in table:
        shown.add_row(*line)
    Console(width=140).print(shown)


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate coverage and power of rules of analysis.")
    parser.add_argument("--experiments", type=int, default=1000, help="of each design")
    parser.add_argument("--json", type=Path, help="also write every design's numbers there")
    parser.add_argument("--read", type=Path, help="simulate nothing, and show the numbers of such a file")
    parser.add_argument("--markdown", action="store_true", help="print the table as docs/protocol.md has it")
    options = parser.parse_args()
    if options.read:
        show(tabulate(read(options.read)), options.markdown)
        return
    started, generator = time.time(), np.random.default_rng(0)
    rows = [
        (design, measure(design, options.experiments, generator))
        for design in track(list(designs()), "designs", disable=not sys.stderr.isatty())
    ]
    show(tabulate(rows), options.markdown)
    print(f"{len(rows)} designs x {options.experiments} experiments in {time.time() - started:.0f} s")
    if options.json:
        write_json(options.json, {"rows": [asdict(design) | {"rules": of} for design, of in rows]})


if __name__ == "__main__":
    main()
