"""MATH: which items are kept, from every form in which the set is published."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from mulfact.data_builders.problem_sets.math_problems import boxed_number, math
from mulfact.errors import UserError

ROWS: list[dict[str, Any]] = [
    {"problem": "What is $6 \\cdot 9$?", "level": "Level 1", "type": "Prealgebra", "solution": "It is $\\boxed{54}$."},
    {"problem": "Halve $9$.", "level": "Level 2", "type": "Algebra", "solution": "We get $\\boxed{4.50}$."},
    {"problem": "Halve $1$.", "level": "Level 2", "type": "Algebra", "solution": "$\\boxed{\\frac{1}{2}}$"},
    {"problem": "How far is it?", "level": "Level 3", "type": "Algebra", "solution": "$\\boxed{1,\\!250}$ miles"},
    {"problem": "Is it hard?", "level": "Level 5", "type": "Algebra", "solution": "$\\boxed{7}$"},
    {"problem": "How hard is it?", "level": "Level ?", "type": "Algebra", "solution": "$\\boxed{8}$"},
]
KEPT = {"What is $6 \\cdot 9$?": "54", "Halve $9$.": "4.5", "How far is it?": "1250"}


def kept(source: Path | str, levels: tuple[int, ...] = (1, 2, 3)) -> dict[str, str]:
    items = math(str(source), levels).items
    return {item.prompt.removeprefix("Question: ").removesuffix("\nSolution:"): item.answer for item in items}


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_form_gives_the_same_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "test.jsonl", ROWS)
    write_rows(tmp_path / "folder" / "a.jsonl", ROWS[:2])
    write_rows(tmp_path / "folder" / "b.jsonl", ROWS[2:])
    for number, row in enumerate(ROWS):
        write_rows(tmp_path / "original" / row["type"].lower() / f"{number}.json", [row])
    hub = {"algebra": [row for row in ROWS if row["type"] == "Algebra"], "prealgebra": ROWS[:1]}

    def load_dataset(name: str, config: str, split: str) -> list[dict[str, Any]]:
        assert (name, split) == ("EleutherAI/hendrycks_math", "test")
        return hub[config]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda name: sorted(hub))
    names = set()
    for source in (tmp_path / "test.jsonl", tmp_path / "folder", tmp_path / "original", "EleutherAI/hendrycks_math"):
        assert kept(source) == KEPT
        names.add(tuple(item.id for item in math(str(source), [1, 2, 3]).items))
    assert len(names) == 1


def test_what_is_left_out_is_counted_and_levels_are_a_setting(tmp_path: Path) -> None:
    write_rows(tmp_path / "test.jsonl", ROWS)
    found = math(str(tmp_path / "test.jsonl"), [3, 1, 2])
    assert (found.name, found.family, found.style) == ("math", "word_problem", "cot")
    assert found.description.startswith("MATH, levels 1, 2, 3, where the last \\boxed{} of the solution holds")
    assert found.description.endswith("2 of another level") or "2 of another level, 1 without" in found.description
    assert "1 without a single number for an answer" in found.description
    assert kept(tmp_path / "test.jsonl", (5,)) == {"Is it hard?": "7"}
    write_rows(tmp_path / "500.jsonl", [{**row, "level": 4} for row in ROWS[:2]])  # MATH-500 writes the number alone
    assert kept(tmp_path / "500.jsonl", (4,)) == {"What is $6 \\cdot 9$?": "54", "Halve $9$.": "4.5"}


@pytest.mark.parametrize(
    ("solution", "number"),
    [
        ("$\\boxed{54}$", "54"),
        ("$\\boxed{-3}$", "-3"),
        ("first $\\boxed{1}$, then $\\boxed{2}$", "2"),
        ("\\boxed{\\$18.25}", "18.25"),
        ("$\\boxed{12{,}000}$", "12,000"),
        ("$\\boxed {7}$", "7"),
        ("$\\boxed{\\frac{1}{2}}$", None),
        ("$\\boxed{50\\%}$", None),
        ("$\\boxed{1,2}$", None),
        ("$\\boxed{x=3}$", None),
        ("$\\boxed{\\text{even}}$", None),
        ("$\\boxed{54", None),
        ("54", None),
    ],
)
def test_boxed_numbers(solution: str, number: str | None) -> None:
    assert boxed_number(solution) == number


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**ROWS[0], "level": "hard"}, "line 1: level is 'hard'; expected 'Level 1' to 'Level 5'"),
        ({"problem": "x", "level": "Level 1"}, "line 1: no 'solution'; found the columns problem, level"),
        ({**ROWS[0], "problem": " "}, "line 1: no 'problem'"),
        (ROWS[2], "no item of the levels"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    write_rows(tmp_path / "test.jsonl", [row])
    with pytest.raises(UserError, match=message):
        math(str(tmp_path / "test.jsonl"), [1, 2])


def test_bad_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        math("nowhere", [1])
    with pytest.raises(UserError, match=r"holds no \.jsonl and no \.json file"):
        math(str(tmp_path), [1])
    (tmp_path / "1.json").write_bytes(b"\xff{}")
    with pytest.raises(UserError, match=r"1\.json cannot be read: not UTF-8 JSON"):
        math(str(tmp_path), [1])
    (tmp_path / "1.json").write_text("[]")
    with pytest.raises(UserError, match="expected a JSON object with problem"):
        math(str(tmp_path), [1])
    for levels in ([], [0], [1, 6]):
        with pytest.raises(UserError, match="expected some of 1, 2, 3, 4, 5"):
            math("nowhere", levels)
