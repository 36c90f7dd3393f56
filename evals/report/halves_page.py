"""Write the page of the halves from the content of halves.json: halves.html, halves.md and the figures.

    python -c "import json; from pathlib import Path; from mulfact.evals.report.halves_page import write_page; \\
        folder = Path('outputs/smoke/halves/mulfact/report'); \\
        write_page(json.load(open(folder / 'halves.json')), folder)"
"""

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
    """Return a sentence for each kind of fact and prompt form: the effect over the curve, with its test."""
    sentences = []
    for task in results["tasks"]:
        subject = "its token" if task["has_tokens"] else "another fact's token with its operands"
        for form in task["forms"]:
            whole, end = form["bits"]["whole_curve"], form["bits"]["points"][-1]
            sentences.append(
                f"{task['task']}, {form['form']}: {subject} changes the answer's bits by "
                f"{signed_bits(whole['effect'])} over the curve (p {p_value(whole['p_value'])}) and by "
                f"{signed_bits(end['effect'])} at its end (p {p_value(end['p_adjusted'])} over all points)."
            )
    return sentences


def points_found(results: Results, task: dict[str, Any]) -> list[str]:
    """Return for each prompt form at how many points of the curve the effect is told from chance, and which way."""
    alpha = 1 - results["confidence_level"]
    lines = []
    for form in task["forms"]:
        found = [p for p in form["bits"]["points"] if p["p_adjusted"] < alpha]
        easier = sum(point["effect"] < 0 for point in found)
        lines.append(f"{form['form']}: easier at {easier}, harder at {len(found) - easier} of {len(results['points'])}")
    return lines
