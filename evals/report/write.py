"""Write the report of a comparison from the content of results.json: report.html, results.md and the figures.

    python -c "import json; from pathlib import Path; from mulfact.evals.report.write import write_report; \\
        write_report(json.load(open('outputs/smoke/report/results.json')), Path('outputs/smoke/report'))"

docs/results_schema.md describes the input. The templates hold the words and the layout, this file prepares the numbers,
figures.py draws. report.html needs no other file and no network: style and figures are inside.
"""

import json
from pathlib import Path
from typing import Any

from mulfact.evals.comparison.outcomes import BITS_PER_BYTE
from mulfact.evals.comparison.reward_trend import by_arm
from mulfact.evals.report.answer import summary
from mulfact.evals.report.embed import embed
from mulfact.evals.report.figure_style import Results, labels, task_label
from mulfact.evals.report.figures import draw_figures
from mulfact.evals.report.filters import make_environment, mean
from mulfact.evals.report.halves_figures import draw_halves
from mulfact.evals.report.halves_page import headline


def write_report(results: Results, folder: Path) -> None:
    """Write <folder>/figures/*.png, <folder>/results.md and <folder>/report.html.

    `results` is the content of results.json.
    """
    figures = draw_figures(results, folder / "figures")
    primary = next(row for row in results["differences"] if row["primary"])
    stage = primary["stage"]
    context = {
        "results": results,
        "sample": sample(results),
        "tasks": {task: task_label(results, task) for task in results["benchmarks"]},
        "summary": summary(results, whole=True),
        "strata": summary(results, whole=False).get(stage, []),
        "figures": {name: embed(path) for name, path in figures.items()},
        "halves": [
            {
                "arm": halves["arm"],
                "pairs": len(halves["pairs"]),
                "headline": headline(halves),
                "figure": embed(draw_halves(halves, folder / "figures" / f"halves_{halves['arm']}")["effects"]),
            }
            for halves in results["halves"]
        ],
        "families": labels(results["accuracy"], "family"),
        "examples": [mark_example(example) for example in results["examples"]],
        "use": [row for row in results["use"] if results["arms"][row["condition"]]["mode"] != "none"],
        "final_loss": final_loss(results),
        "effects": primary_effects(results),
        "made": made(results),
        "gate": gate(results),
        "too_long": too_long(results),
        "rising": by_arm(results["reward_trends"]),
        "software": distinct(results["provenance"], "packages"),
        "seeds": len(results["seeds"]),
        "primary_stage": stage,
        "primary_task": primary["task"],
        "primary_family": primary["family"],
        "level": f"{results['confidence_level']:.0%}",
    }
    environment = make_environment()
    for template, name in (("report.html", "report.html"), ("results.md", "results.md")):
        text = environment.get_template(template).render(context)
        (folder / name).write_text(text.rstrip() + "\n", encoding="utf-8")


def too_long(results: Results) -> dict[str, dict[str, float | None]]:
    """Return {task: {condition: share of too long gold completions}} of the tasks where an arm has any."""
    shares = {
        task: {arm: results["gold_over_budget"].get(arm, {}).get(task) for arm in results["conditions"]}
        for task in results["benchmarks"]
    }
    return {task: of_arms for task, of_arms in shares.items() if any(of_arms.values())}


# ---------------------------------------------------------------- numbers prepared for the templates


def sample(results: Results) -> dict[str, str] | None:
    """Return an added token, with its text, of the first arm that has one."""
    return next((arm["examples"][-1] for arm in results["arms"].values() if arm["examples"]), None)


def primary_effects(results: Results) -> list[dict[str, Any]]:
    """Return the primary difference of each arm, with its places on a common axis in percent of its width.

    Empty where one of them has no interval.
    """
    rows = [row for row in results["differences"] if row["primary"]]
    if not rows or any(row["interval"] is None for row in rows):
        return []
    ends = [0.0, *(end for row in rows for end in row["interval"])]
    low, high = min(ends), max(ends)
    width = (high - low) or 1.0

    def place(value: float) -> float:
        return round(100 * (value - low) / width, 2)

    return [
        {
            "condition": row["condition"], "difference": row["difference"], "interval": row["interval"],
            "zero": place(0.0), "low": place(row["interval"][0]), "dot": place(row["difference"]),
            "width": round(place(row["interval"][1]) - place(row["interval"][0]), 2),
        }
        for row in rows
    ]  # fmt: skip


def made(results: Results) -> dict[str, str | None] | None:
    """Return the day of the last stage of any run, and its commit; None where the records have no day."""
    rows = [row for row in results["provenance"] if row.get("started")]
    if not rows:
        return None
    last = max(rows, key=lambda row: row["started"])
    return {"day": last["started"][:10], "commit": (last["commit"] or "")[:7] or None}


def gate(results: Results) -> dict[str, list[dict[str, Any]]]:
    """Return for each arm what the gate before GRPO found, in the order of the seeds."""
    runs = {(run["condition"], run["seed"]): run for run in results["readiness"]["runs"]}
    return {arm: [runs[arm, seed] for seed in results["seeds"]] for arm in results["conditions"]}


def final_loss(results: Results) -> list[dict[str, Any]]:
    """Return for each arm the last validation of pretraining, as mean over seeds, with the unigram entropy."""
    rows = []
    for arm in results["conditions"]:
        curves = [curve["points"] for curve in results["curves"].get("pretrain", []) if curve["condition"] == arm]
        last = [points[-1] for points in curves if points]
        if last:
            fields = ("tokens", "bytes", *BITS_PER_BYTE)
            row = {field: mean([point[field] for point in last]) for field in fields}
            rows.append({"condition": arm, "unigram": results["unigram_bits_per_byte"].get(arm), **row})
    return rows


def mark_example(example: dict[str, Any]) -> dict[str, Any]:
    """Return the example with each completion's text in segments, (text, whether it was one added token)."""
    completions = {
        arm: {**completion, "segments": mark_facts(completion["text"], completion["facts"])}
        for arm, completion in example["completions"].items()
    }
    return {**example, "completions": completions}


def mark_facts(text: str, facts: list[str]) -> list[tuple[str, bool]]:
    """Return `text` in segments, (text, whether it is the rendering of a generated added token).

    `facts` are renderings in the order of generation. The same characters may also have been spelled out, so the match
    is a guess where a text holds both; a match that is not part of a longer number is preferred.
    """
    segments, start = [], 0
    for fact in facts:
        place = find_fact(text, fact, start)
        if place < 0:
            continue
        segments += [(text[start:place], False), (text[place : place + len(fact)], True)]
        start = place + len(fact)
    segments.append((text[start:], False))
    return [segment for segment in segments if segment[0]]


def find_fact(text: str, fact: str, start: int) -> int:
    """Return where `fact` stands in `text` from `start` on, -1 where it does not."""
    place = text.find(fact, start)
    while place >= 0:
        around = text[place - 1 : place] + text[place + len(fact) : place + len(fact) + 1]
        if not any(character.isdigit() for character in around):
            return place
        place = text.find(fact, place + 1)
    return text.find(fact, start)


def distinct(provenance: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """Return each value of `field` once, with the stages that had it."""
    found: dict[str, dict[str, Any]] = {}
    for row in provenance:
        entry = found.setdefault(json.dumps(row[field], sort_keys=True), {"value": row[field], "stages": []})
        if row["stage"] not in entry["stages"]:
            entry["stages"].append(row["stage"])
    return list(found.values())
