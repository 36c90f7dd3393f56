"""The rules that read a final answer, on edge cases, with the verdict that each rule is expected to give."""

import json

import pytest

from mulfact.data_builders.problems.prompts import extract_answer
from mulfact.evals.grading.answers import extract_flexible, extract_number, extract_strict, grade, is_correct

# text, gold, what the headline rule extracts, then the verdicts: headline, strict, flexible.
CASES = [
    ("#### 18", "18", "18", True, True, True),
    ("She has 9*2=<<9*2=18>>18 eggs.\n#### 18", "18", "18", True, True, True),
    ("#### 1,234", "1234", "1234", True, True, True),
    ("#### 1234", "1,234", "1234", True, True, True),
    ("#### 1,8", "18", "18", True, True, True),  # every comma is dropped, wherever it stands
    ("#### $18", "18", None, False, False, True),
    ("#### 18.", "18", "18.", False, True, True),
    ("#### 18.00", "18", "18.00", False, False, False),
    ("#### 1,234.50", "1234.50", "1234.50", True, True, True),
    ("#### 1,234.50", "1234.5", "1234.50", False, False, False),
    ("#### .5", ".5", ".5", True, True, True),
    ("#### .5", "0.5", ".5", False, False, False),
    ("####18", "18", None, False, False, True),
    ("####  18", "18", None, False, False, True),
    ("#### \n18", "18", None, False, False, True),
    ("#### 50%", "50", "50", True, True, True),
    ("#### -5", "-5", "-5", True, True, True),
    ("#### -5", "5", "-5", False, False, False),
    ("#### \u22125", "-5", None, False, False, False),
    ("#### \u22125", "5", None, False, False, True),
    ("#### 17\n#### 18", "18", "17", False, False, True),  # the first one counts
    ("#### 18\n#### 17", "18", "18", True, True, False),
    ("It is #### 18 and so\n#### 17", "17", "18", False, False, True),
    ("#### 18 (2 each)", "18", "18", True, True, False),
    ("#### 3-5", "3", "3", True, True, False),
    ("range 3-5", "5", None, False, False, False),
    ("range 3-5", "-5", None, False, False, True),
    ("#### <MUL_2_9_18>", "18", None, False, False, True),
    ("#### 2*9=18", "18", "2", False, False, True),
    ("#### 18\nSo he has 3 left.", "18", "18", True, True, False),
    ("So he has 18.", "18", None, False, False, True),
    ("I do not know", "18", None, False, False, False),
    ("", "18", None, False, False, False),
    ("#### ", "18", None, False, False, False),
    ("#### .", "18", ".", False, False, False),
    ("#### inf", "inf", None, False, False, False),
    ("#### nan", "nan", None, False, False, False),
    ("#### 1e3", "1000", "1", False, False, False),
    ("#### \uff11\uff18", "18", None, False, False, False),  # only ASCII digits are digits
    ("#### " + "9" * 10_000, "9" * 10_000, "9" * 10_000, True, True, True),
    ("#### " + "9" * 10_000, "9", "9" * 10_000, False, False, False),
]


@pytest.mark.parametrize(("text", "gold", "extracted", "headline", "strict", "flexible"), CASES)
def test_each_rule_gives_its_documented_verdict(text, gold, extracted, headline, strict, flexible):
    verdict = grade(text, gold)
    assert verdict.extracted == extracted
    assert (verdict.correct, verdict.correct_strict, verdict.correct_flexible) == (headline, strict, flexible)


NUMBER_CASES = [
    ("54", "54", "54", True, True, True),
    (" 54", "54", "54", True, True, True),
    ("54\n7*9=63", "54", "54", True, True, True),
    ("54, 7*9=63", "54", "54", True, False, False),
    ("is 54.", "54", "54", True, False, True),
    ("6 times 9 is 54", "54", "6", False, False, True),
    ("540", "54", "540", False, False, False),
    ("54,000", "54", "54000", False, False, False),
    ("54.5", "54", "54.5", False, False, False),
    ("1,225", "1225", "1225", True, False, True),
    ("-54", "54", "-54", False, False, False),
    ("\n54", "54", None, False, False, False),  # nothing stands on the first line
    ("five", "5", None, False, False, False),
    ("", "5", None, False, False, False),
]


@pytest.mark.parametrize(("text", "gold", "extracted", "headline", "strict", "flexible"), NUMBER_CASES)
def test_plain_prompts_are_read_by_their_first_line(text, gold, extracted, headline, strict, flexible):
    verdict = grade(text, gold, "number")
    assert verdict.extracted == extracted == extract_number(text)
    assert (verdict.correct, verdict.correct_strict, verdict.correct_flexible) == (headline, strict, flexible)


def test_extraction_keeps_what_each_rule_reads():
    text = "#### 1,080 or $1,080.\nBye"
    assert (extract_answer(text), extract_strict(text), extract_flexible(text)) == ("1080", "1,080", "$1,080.")


def test_nothing_extracted_is_never_right():
    assert not is_correct(None, "None")
    assert not is_correct(None, "[invalid]")


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="math"):
        grade("#### 1", "1", "math")


def test_every_gold_solution_is_right_by_every_rule(data_dir, real_data):
    answers = [json.loads(line)["answer"] for line in (data_dir / "gsm8k" / "test.jsonl").open()]
    golds = [extract_answer(answer) for answer in answers]
    for answer, gold in zip(answers, golds, strict=True):
        verdict = grade(answer, gold)
        assert verdict.correct
        assert verdict.correct_strict
        assert verdict.correct_flexible
    if real_data:
        assert len(golds) == 1319
