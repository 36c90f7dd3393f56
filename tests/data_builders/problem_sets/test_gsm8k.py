"""Reading word problems: GSM8K's form, further forms, and every mistake with its file and line."""

import json

import datasets
import pytest

from mulfact.data_builders.posttrain import format_completion
from mulfact.data_builders.problem_sets.gsm8k import (
    load_extra_set,
    load_problems,
    parse_extra,
    parse_problem,
    synthetic_problems,
)
from mulfact.data_builders.problems.problem import Problem
from mulfact.errors import UserError
from mulfact.evals.grading.answers import extract_answer

ROW = {"question": " How many? ", "answer": "6*9=<<6*9=54>>54\nIt is 1,054.\n#### 1,054"}


def test_a_row_of_gsm8k():
    assert parse_problem(ROW, "here") == Problem("How many?", "6*9=<<6*9=54>>54\nIt is 1,054.", "1054", 1, "gsm8k")


def test_the_published_set(data_dir, real_data):
    train, test = (load_problems(str(data_dir / "gsm8k"), split) for split in ("train", "test"))
    if real_data:
        assert (len(train), len(test)) == (7473, 1319)
        assert sum("," in problem.answer for problem in train) == 0
        assert max(problem.steps for problem in train) == 9
    assert all(problem.question and problem.solution and problem.answer for problem in (*train, *test))


def write(path, *lines):
    path.write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() for line in lines))


@pytest.mark.parametrize(
    ("second_line", "message"),
    [
        ('{"question": "q", "answer": "54"}', r"line 2: the answer has no line '#### <number>'; it ends '54'"),
        ('{"question": "q", "answer": "#### fifty"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "####54"}', r"line 2: the answer has no line"),
        ('{"question": "q"}', r"line 2: no text in 'answer'; found the columns question"),
        ('{"question": " ", "answer": "#### 5"}', r"line 2: no text in 'question'"),
        ('{"question": 5, "answer": "#### 5"}', r"line 2: no text in 'question'"),
        ('{"question": "q", ', r"line 2: not JSON"),
        ('["q", "a"]', r"line 2: expected a JSON object"),
        ('{"question": "q", "answer": "Half.\\n#### 1/2"}', r"line 2: the answer has no line .*it ends '#### 1/2'"),
        ('{"question": "q", "answer": "#### 1, 2"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### 1,2"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### 15 or 16"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### 15.."}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### --5"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### +-5"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### \\u0661\\u0665"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### \\uff15"}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### 15\\nThat is all."}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": "#### "}', r"line 2: the answer has no line"),
        ('{"question": "q", "answer": null}', r"line 2: no text in 'answer'"),
        ('{"question": "q", "answer": NaN}', r"line 2: no text in 'answer'"),
        (
            '{"question": "q", "answer": "#### 1. First\\n3*5=15\\n#### 15"}',
            r"line 2: the solution says '#### 1\.' before its last line '#### 15'",
        ),
        ('{"question": "q", "answer": "\\ud83d #### 5"}', r"line 2: 'answer' holds .*half a surrogate pair"),
        (b'{"question": "caf\xe9", "answer": "#### 5"}', r"line 2: not UTF-8"),
    ],
)
def test_a_bad_line_is_named(tmp_path, second_line, message):
    write(tmp_path / "train.jsonl", json.dumps(ROW) + "\n", second_line, "\n")
    with pytest.raises(UserError, match=rf"train.jsonl, {message}"):
        load_problems(str(tmp_path), "train")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("3*5=15.\n#### 15.", ("3*5=15.", "15")),
        ("3*5=15\r\nYes.\r\n#### 15\r\n", ("3*5=15\nYes.", "15")),
        ("#### -15", ("", "-15")),
        ("It is.\n#### +15", ("It is.", "15")),
        ("It is.\n#### $1,234.50", ("It is.", "1234.50")),
        ("It is.\n#### -$15.", ("It is.", "-15")),
        ("It is.\n####  15%\n\n", ("It is.", "15")),
        ("#### First\n3*5=15\n#### Then\n#### 15", ("#### First\n3*5=15\n#### Then", "15")),
    ],
)
def test_the_last_line_is_the_answer(answer, expected):
    problem = parse_problem({"question": "q", "answer": answer}, "here")
    assert (problem.solution, problem.answer) == expected
    for style in ("cot", "direct"):
        assert extract_answer(format_completion(problem.solution, problem.answer, style)) == problem.answer


def test_both_readers_of_rows_leave_out_blank_lines_and_marks(tmp_path):
    write(tmp_path / "train.jsonl", b"\xef\xbb\xbf\r\n", json.dumps(ROW) + "\r\n", " \n", json.dumps(ROW))
    assert [problem.answer for problem in load_problems(str(tmp_path), "train")] == ["1054", "1054"]


def test_missing_and_empty_files(tmp_path):
    with pytest.raises(UserError, match=r"train.jsonl does not exist"):
        load_problems(str(tmp_path), "train")
    write(tmp_path / "train.jsonl")
    with pytest.raises(UserError, match=r"train.jsonl is empty"):
        load_problems(str(tmp_path), "train")
    with pytest.raises(UserError, match=r"no such folder; expected one with train.jsonl and test.jsonl, or a Hub id"):
        load_problems(str(tmp_path / "missing"), "train")


def test_from_the_hub(monkeypatch):
    asked = []

    def load_dataset(name, config=None, split=None, streaming=False):
        asked.append((name, config, split))
        return [ROW, ROW]

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert len(load_problems("openai/gsm8k", "test")) == 2
    assert asked == [("openai/gsm8k", "main", "test")]


@pytest.mark.parametrize("error", [ConnectionError("no route"), FileNotFoundError("gone"), ValueError("no config")])
def test_what_the_hub_does_not_give_is_named(monkeypatch, error):
    def load_dataset(*args, **kwargs):
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(UserError, match=rf"openai/gsm8k is neither a path here nor .*{error}.*HF_TOKEN"):
        load_problems("openai/gsm8k", "test")


def test_synthetic_problems_are_different_and_deterministic():
    problems = synthetic_problems(seed=3, count=500, max_steps=2, held_out=False)
    assert len({problem.question for problem in problems}) == 500
    assert problems == synthetic_problems(seed=3, count=500, max_steps=2, held_out=False)
    held_out = synthetic_problems(seed=3, count=100, max_steps=2, held_out=True)
    assert not {problem.question for problem in problems} & {problem.question for problem in held_out}


TINY = 'def simple_math_problem() -> int:\n    """\n    Ann\n    """\n    a = 6\n    b = a * 9\n    return b\n'


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"question": "q", "cot": "c", "answer": 50}, ("c", "50", 0)),
        ({"question": "q", "cot": "c", "answer": 50.0}, ("c", "50", 0)),
        ({"question": "q", "cot": "c", "answer": 0.25}, ("c", "0.25", 0)),
        ({"question": "q", "cot": "c", "answer": "$50."}, ("c", "50", 0)),
        ({"question": "q", "cot": "c", "answer": True}, "no number for an answer"),
        ({"question": "q", "cot": "c", "answer": float("nan")}, "no number for an answer"),
        ({"question": "q", "cot": "c", "answer": None}, "no number for an answer"),
        ({"question": "q", "cot": "c", "answer": ["50"]}, "no number for an answer"),
        ({"question": "q", "cot": "c", "answer": "５０"}, "no number for an answer"),
        ({"question": "q", "cot": None, "answer": "50"}, "no solution"),
        ({"question": "q", "cot": float("nan"), "answer": "50"}, "no solution"),
        ({"question": "q", "cot": ["c", None], "answer": "50"}, "no solution"),
        ({"question": "q", "cot": ["c", ["d"]], "answer": "50"}, "no solution"),
        ({"question": "q", "cot": [], "answer": "50"}, "no solution"),
        ({"question": "q", "cot": "#### 1. First", "answer": "50"}, "an answer line inside the solution"),
        ({"question": None, "cot": "c", "answer": "50"}, "no question"),
        ({"question": " ", "code": TINY}, "no question"),
        ({"question": "q", "code": None}, "no number for an answer"),
        ({"question": "q", "answer": None}, "no answer"),
        ({"question": "q", "cot": "<<6*9=54>> <<54-4=50>>", "answer": "50"}, ("<<6*9=54>> <<54-4=50>>", "50", 2)),
        ({"question": "q", "cot": "So <<6*9=54>>54.", "answer": "#### 1,054"}, ("So <<6*9=54>>54.", "1054", 1)),
        ({"question": "q", "cot": "<<1/3=0.3>>", "answer": "1/3"}, "no number for an answer"),
        ({"question": "q", "cot": "", "answer": "5"}, "no solution"),
        (
            {"question": "q", "steps": ["<<6*9=54>>", "<<54-4=50>>"], "answer": "50"},
            ("<<6*9=54>>\n<<54-4=50>>", "50", 2),
        ),
        ({"question": "q", "cot": ["<<6*9=54>>"], "answer": "54", "steps": None}, ("<<6*9=54>>", "54", 1)),
        ({"question": "q", "code": TINY}, ("a = 6\nb = a * 9", "54", 0)),
        ({"question": "q", "code": "import os"}, "no number for an answer"),
        (ROW, ("6*9=<<6*9=54>>54\nIt is 1,054.", "1054", 1)),
    ],
)
def test_rows_of_further_sets(row, expected):
    problem = parse_extra(row, "here")
    assert expected == (problem if isinstance(problem, str) else (problem.solution, problem.answer, problem.steps))


@pytest.mark.parametrize("row", [{"cot": "c", "answer": "5"}, {"question": "q", "cot": "c"}, {"problem": "q"}])
def test_a_row_of_an_unknown_set_is_refused(row):
    with pytest.raises(UserError, match="line 7: no columns question and answer, or code; found the columns"):
        parse_extra(row, "train.jsonl, line 7")


def test_a_weight_is_rows_for_each_problem_of_the_base_set(tmp_path):
    rows = [{"question": f"q{n}", "cot": "c", "answer": str(n)} for n in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen, _ = load_extra_set({"source": str(tmp_path), "weight": 1.5}, 8, lambda problem: None)
    assert len(chosen) == 12


def test_a_further_set_counts_what_it_leaves_out(tmp_path):
    rows = [{"question": f"q{n}", "cot": "c", "answer": "x" if n % 5 == 0 else str(n)} for n in range(20)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"source": str(tmp_path), "rows": 6}
    chosen, left_out = load_extra_set(entry, 0, lambda problem: "three" if "3" in problem.answer else None)
    assert [problem.answer for problem in chosen] == ["1", "2", "4", "6", "7", "8"]
    assert left_out == {"no number for an answer": 2, "three": 1}
    with pytest.raises(UserError, match=r"ended after 14 usable problems of 15 .*'no number for an answer': 4"):
        load_extra_set({**entry, "rows": 15}, 0, lambda problem: "three" if "3" in problem.answer else None)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"source": "a/b"},
        {"source": "a/b", "rows": "many"},
        {"source": "a", "row": 3},
        {"source": "a/b", "rows": 0},
        {"source": "a/b", "rows": True},
        {"source": "a/b", "weight": 0.01},
        {"source": "a/b", "rows": 3, "weight": 1},
    ],
)
def test_a_wrong_entry_is_refused(entry):
    with pytest.raises(UserError, match=r"expected \{source: <folder or Hub id>, rows: <number>\}, or weight"):
        load_extra_set(entry, 10, lambda problem: None)


def test_further_sets_are_streamed_from_the_hub(monkeypatch):
    def load_dataset(name, split=None, streaming=False):
        assert (name, split, streaming) == ("zen-E/GSM8k-Aug", "train", True)
        return ({"question": f"q{n}", "cot": "<<1+1=2>>", "answer": "2"} for n in range(10**9))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    chosen, _ = load_extra_set({"source": "zen-E/GSM8k-Aug", "rows": 3}, 0, lambda problem: None)
    assert [problem.question for problem in chosen] == ["q0", "q1", "q2"]
