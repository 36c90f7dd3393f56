"""Write the page of the halves from the content of halves.json: halves.html, halves.md and the figures.

    python -c "import json; from pathlib import Path; from mulfact.evals.report.halves_page import write_page; \\
        folder = Path('outputs/smoke/halves/mulfact/report'); \\
        write_page(json.load(open(folder / 'halves.json')), folder)"
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mulfact.evals.report.embed import embed
from mulfact.evals.report.filters import make_environment, p_value, signed_bits
from mulfact.evals.report.halves_figures import draw_halves

Results = dict[str, Any]


def write_page(results: Results, folder: Path) -> None:
    """Write <folder>/figures/*.png, <folder>/halves.md and <folder>/halves.html."""
    figures = draw_halves(results, folder / "figures")
    context = {
        "results": results,
        "headline": headline(results),
        "figures": {name: embed(path) for name, path in figures.items()},
        "level": f"{results['confidence_level']:.0%}",
        "found": {task["task"]: points_found(results, task) for task in results["tasks"]},
    }
    environment = make_environment()
    for name in ("halves.html", "halves.md"):
        text = environment.get_template(name).render(context)
        (folder / name).write_text(text.rstrip() + "\n", encoding="utf-8")


def headline(results: Results) -> list[str]:
    """Return a sentence for each kind of fact and prompt form: when a fact is known, and how well at the end."""
    sentences = []
    for task in results["tasks"]:
        subject = "its token" if task["has_tokens"] else "another fact's token with its operands"
        for form in task["forms"]:
            known, end = form["known"], form["bits"]["end"]
            sentences.append(
                f"{task['task']}, {form['form']}: with {subject} a fact is known after × {times(known['effect'])} the "
                f"tokens ({interval(known, times)}), and at the end its answer costs {signed_bits(end['effect'])} bits "
                f"({interval(end, signed_bits)})."
            )
    return sentences


def times(log2: float) -> str:
    return f"{2**log2:.2f}"


def interval(test: dict[str, Any], shown: Callable[[float], str]) -> str:
    """Return the interval over pairs, about other runs; of a single pair there is the p-value of its permutation."""
    ends = test["interval_over_pairs"]
    return f"p {p_value(test['p_value'])}" if ends is None else f"{shown(ends[0])} to {shown(ends[1])}"


def points_found(results: Results, task: dict[str, Any]) -> list[str]:
    """Return for each prompt form at how many points of the curve the effect is told from chance, and which way."""
    alpha = 1 - results["confidence_level"]
    lines = []
    for form in task["forms"]:
        found = [p for p in form["bits"]["points"] if p["p_adjusted"] < alpha]
        easier = sum(point["effect"] < 0 for point in found)
        lines.append(f"{form['form']}: easier at {easier}, harder at {len(found) - easier} of {len(results['points'])}")
    return lines
