"""SVAMP, MultiArith and ASDiv: the files of their authors and the Hub's columns give the same items."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import datasets
import pytest

from mulfact.data_builders.problem_sets.word_problem_sets import asdiv, multiarith, svamp
from mulfact.errors import UserError

SETS = {"svamp": (svamp, "SVAMP.json"), "multiarith": (multiarith, "MultiArith.json"), "asdiv": (asdiv, "ASDiv.xml")}
COUNTS = {"svamp": 1000, "multiarith": 600, "asdiv": 2084}  # 221 items of ASDiv have no single number for an answer


def path_of(data_dir, name):
    return data_dir / name / SETS[name][1]


def hub_form(data_dir, name):
    """Return the published items in the Hub's columns and splits."""
    if name == "asdiv":
        rows = [
            {
                "body": problem.findtext("Body"),
                "question": problem.findtext("Question"),
                "solution_type": problem.findtext("Solution-Type"),
                "answer": problem.findtext("Answer"),
                "formula": problem.findtext("Formula"),
            }
            for problem in ElementTree.parse(path_of(data_dir, name)).getroot().iter("Problem")
        ]
        return {"validation": rows}
    rows = json.loads(path_of(data_dir, name).read_text())
    if name == "multiarith":
        rows = [{"question": row["sQuestion"], "final_ans": f"{row['lSolutions'][0]:.0f}"} for row in rows]
    else:
        rows = [{**row, "Answer": f"{row['Answer']:.0f}"} for row in rows]
    cut = len(rows) * 7 // 10
    return {"train": rows[:cut], "test": rows[cut:]}


@pytest.mark.parametrize("name", SETS)
def test_the_authors_file(name, data_dir, real_data):
    read, _ = SETS[name]
    benchmark = read(str(path_of(data_dir, name)))
    assert (benchmark.name, benchmark.family, benchmark.style) == (name, "word_problem", "cot")
    ids = [item.id for item in benchmark.items]
    assert len(ids) == len(set(ids))
    for item in benchmark.items:
        assert item.prompt.startswith("Question: ")
        assert item.prompt.endswith("\nSolution:")
        assert item.answer == f"{float(item.answer):.10g}"  # as GSM8K writes numbers: no 51.0, no 1,250
    if real_data:
        assert len(ids) == COUNTS[name]


@pytest.mark.parametrize("name", SETS)
def test_the_hub_gives_the_same_items(name, data_dir, monkeypatch):
    read, _ = SETS[name]
    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **kwargs: hub_form(data_dir, name))
    found, own = (read(source).items for source in ("some-org/some-set", str(path_of(data_dir, name))))
    if name == "multiarith":  # the Hub's copy lacks the equations
        assert all(item.operations is None and item.facts is None for item in found)
        own = [replace(item, operations=None, facts=None) for item in own]
    assert found == own
    assert all(item.operations is not None for item in own) or name == "multiarith"


def test_asdiv_keeps_single_numbers(tmp_path):
    answers = ["9 (apples)", "0.46 (dollars)", "383", "1,250 (m)", "2.50", "14  (seats)"]
    others = ["Yes", "5:45", "8; 40", "5/2", "6th", "9 (cm); 8 (cm)", "-(1/3)"]
    problems = "".join(
        f"<Problem ID='p{n}'><Body>b{n}</Body><Question>q?</Question><Answer>{answer}</Answer></Problem>"
        for n, answer in enumerate([*answers, *others])
    )
    (tmp_path / "ASDiv.xml").write_text(f"<Set>{problems}</Set>")
    benchmark = asdiv(str(tmp_path / "ASDiv.xml"))
    assert {item.answer for item in benchmark.items} == {"9", "0.46", "383", "1250", "2.5", "14"}
    assert "7 other items left out" in benchmark.description


def test_repeated_questions_keep_their_own_ids(tmp_path):
    row = {"sQuestion": "How many?", "lSolutions": [4.0]}
    (tmp_path / "m.json").write_text(json.dumps([row, row]))
    first, second = multiarith(str(tmp_path / "m.json")).items
    assert second.id == f"{first.id}-2"


SVAMP_ROW = {"ID": "chal-1", "Body": "b", "Question": "q?", "Answer": 1.0}


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (svamp, b"\xff\xfe", r"not UTF-8 JSON"),
        (svamp, b"{", r"not UTF-8 JSON"),
        (svamp, b"", r"not UTF-8 JSON"),
        (svamp, b"{}", r"expected a JSON list of objects"),
        (svamp, b"[]", r"expected a JSON list of objects"),
        (svamp, json.dumps([SVAMP_ROW, {"Body": "b"}]).encode(), r"entry 1: no 'Question'; found the columns Body"),
        (svamp, json.dumps([{**SVAMP_ROW, "Answer": "many"}]).encode(), r"entry 0: the answer 'many' is not a number"),
        (svamp, json.dumps([{**SVAMP_ROW, "Answer": "inf"}]).encode(), r"entry 0: the answer 'inf' is not a number"),
        (multiarith, json.dumps([{"sQuestion": "q", "lSolutions": [1, 2]}]).encode(), r"entry 0: expected one number"),
        (svamp, json.dumps([{**SVAMP_ROW, "Body": float("nan")}]).encode(), r"entry 0: 'Body' holds nan"),
        (svamp, json.dumps([{**SVAMP_ROW, "Answer": None}]).encode(), r"entry 0: no 'Answer'"),
        (svamp, json.dumps([{**SVAMP_ROW, "Answer": [5]}]).encode(), r"entry 0: 'Answer' holds \[5\]"),
        (svamp, json.dumps([{**SVAMP_ROW, "Answer": "1,2"}]).encode(), r"entry 0: the answer '1,2' is not a number"),
        (svamp, rb'[{"Body": "\ud83d"}]', r"half a surrogate pair"),
        (multiarith, json.dumps([{"sQuestion": "q", "lSolutions": [None]}]).encode(), r"entry 0: no 'lSolutions'"),
        (multiarith, json.dumps([{"question": "q"}]).encode(), r"entry 0: no 'final_ans'"),
        (asdiv, b"<Set>", r"not XML"),
        (asdiv, b"<Set/>", r"no <Problem> in it"),
        (asdiv, b"<Set><Problem ID='p1'><Body>b</Body></Problem></Set>", r"problem p1: no 'answer'"),
    ],
)
def test_bad_files_are_named(tmp_path, read, content, message):
    path = tmp_path / "set.file"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"set.file.*{message}"):
        read(str(path))


@pytest.mark.parametrize("read", [svamp, multiarith, asdiv])
def test_a_missing_file_is_named(read, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.json does not exist"):
        read(str(tmp_path / "nowhere.json"))
