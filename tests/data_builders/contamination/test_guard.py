"""Training questions against benchmarks: whole questions always refused, 13-grams unless allowed, reasons counted."""

import json

import pytest

from mulfact.data_builders.contamination.guard import Guard, check_overlap
from mulfact.data_builders.contamination.held_out import pair_is_held_out
from mulfact.data_builders.problems.problem import Problem
from mulfact.errors import UserError

QUESTION = "Ann walks one two three four five six seven eight nine ten eleven twelve miles. How far does she walk?"
NEAR = "Bob walks one two three four five six seven eight nine ten eleven twelve miles. How far does he run?"
OTHER = "Carl has 6 bags with 9 apples each. How many apples does he have?"


@pytest.fixture
def folder(tmp_path):
    row = {"id": "svamp-1", "prompt": f"Question: {QUESTION}\nSolution:", "family": "word_problem"}
    (tmp_path / "svamp.jsonl").write_text(json.dumps(row) + "\n")
    return tmp_path


ASKED = {"svamp-1": QUESTION}


def test_nothing_in_common(folder):
    report = check_overlap(folder, ASKED, [OTHER], [OTHER], [])
    assert report["benchmarks"]["svamp"]["overlapping_items"] == 0
    assert report["overlapping_items"] == {}
    assert report["near_duplicates"] == []


def test_a_whole_question_is_refused_even_when_the_benchmark_is_allowed(folder):
    with pytest.raises(UserError, match=r"is the item svamp-1 of a benchmark"):
        check_overlap(folder, ASKED, [OTHER, QUESTION.upper()], [], ["svamp"])


def test_thirteen_words_are_refused_unless_allowed_and_listed_when_allowed(folder):
    with pytest.raises(UserError, match=r"benchmark svamp, such as svamp-1 .* posttrain.allow_overlap"):
        check_overlap(folder, ASKED, [NEAR], [NEAR], ["gsm8k_cot"])
    report = check_overlap(folder, ASKED, [NEAR], [NEAR], ["svamp"])
    assert report["overlapping_items"] == {"svamp": ["svamp-1"]}
    assert report["allowed"] == ["svamp"]
    (near,) = check_overlap(folder, ASKED, [QUESTION.replace("How far", "How long")], [], ["svamp"])["near_duplicates"]
    assert near["item"] == "svamp-1"
    assert 0.6 <= near["similarity"] < 1


def test_a_misspelt_name_is_refused(folder):
    with pytest.raises(UserError, match=r"allow_overlap names 'gsm8k': the benchmarks are gsm8k_direct, gsm8k_cot"):
        check_overlap(folder, ASKED, [OTHER], [OTHER], ["gsm8k"])


def test_reasons_to_leave_out_a_further_problem(folder):
    a, b = next((a, b) for a in range(21, 99) for b in range(2, 10) if pair_is_held_out(a, b))
    guard = Guard(folder, ASKED, held_out=["Dora reads 5 pages."])
    reasons = {
        "is a benchmark item or held out": [(QUESTION, ""), ("dora reads 5 pages", "")],
        "shows a product of the probes": [("How many?", f"{a} x {b} = {a * b}"), (f"{b}*{a}?", "")],
        "shares 13 words with svamp": [(NEAR, "")],
        None: [(OTHER, "6*9=<<6*9=54>>54")],
    }
    for reason, problems in reasons.items():
        for question, solution in problems:
            assert guard.reason(Problem(question, solution, "1", 1)) == reason
