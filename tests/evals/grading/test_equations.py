"""Equations are evaluated exactly, true values are carried forward, and what cannot be evaluated accuses nobody."""

import json
import time

import pytest

from mulfact.evals.grading.equations import chains, wrong_results

TRUE = [
    "6*9=54",
    "6 × 9 = 54 apples",
    "$6 x 9 = $54",
    "2*3=6 and 6+4=10",
    "2*3=6+4=10",  # run on: no result is written wrong
    "(2+3)*4=20",
    "10/3=3.33",
    "10/3 = 3.3333",
    "2/3=.67",
    "2/3=.66",  # cut instead of rounded
    "1,200*2=2,400",
    "20%*50=10",
    "10/50*100=20%",
    "100%-20%=80%",
    "1/2*10=5=5",
    "-5+8=3",
    "54 = 6*10",  # a lone number in front may be a label
    "Day 2 = 30",
    "3 apples + 2 = 50",  # goes on from a word
    "26 = 5 + 3x and 20 + 3x = 26",
    "2^3*2 = 16",
    "x = 5",
    "7/0 = 3",
    "= = 3*4",
    "((((1+1=3",
    "3*4=",
    "12*3 <<12*3=36>>36",
    "120 – 80 - 15 = 25",
    "9" * 500 + "*2=3",  # too large to look at
    "(" * 100 + "1+1" + ")" * 100 + "=3",
    "",
]
FALSE = [
    "6*9=55",
    "6 times 9 is <<6*9=55>>55",
    "5+3=8\n8*2=18 left",
    "10/3=3.4",
    "10/3=3",
    "2/3=.65",
    "2/3=-.66",
    "$32 - $20 = $300",
    "(2+3)*4=14",
    "1,200*2=240",
    "6x9=56",
    "-5+8=-3",
    "80*25%=2000",  # of an operand a hundredth
]


def has_wrong_result(text):
    return any(wrong_results(chain) for chain in chains(text))


@pytest.mark.parametrize("text", TRUE)
def test_true_or_undecidable(text):
    assert not has_wrong_result(text)


@pytest.mark.parametrize("text", FALSE)
def test_false(text):
    assert has_wrong_result(text)


def test_true_values_are_carried_forward():
    assert wrong_results(chains("6*9=55 apples. 55+1=56. 3*2=6. 56-6=50")[1]) == {55: 54, 56: 55, 50: 49}


def test_a_number_that_is_right_later_is_right_then():
    assert wrong_results(chains("6*9=55. 50+5=55. 55*2=110")[1]) == {}


def test_gold_solutions_are_hardly_ever_accused(data_dir, real_data):
    for split, expected in (("train", 48), ("test", 2)):
        answers = [json.loads(line)["answer"] for line in (data_dir / "gsm8k" / f"{split}.jsonl").open()]
        accused = sum(has_wrong_result(answer) for answer in answers)
        assert accused == (expected if real_data else 0)


@pytest.mark.parametrize("piece", ["1+", "(", "1=", "<<1", "x", "1,", "- ", "$", "1 "])
def test_time_is_linear_in_hostile_text(piece):
    """A repetitive completion must not stall an evaluation: eight times the text, and not 64 times the time."""

    def seconds(text):
        begun = time.perf_counter()
        has_wrong_result(text)
        return time.perf_counter() - begun

    short, long = (min(seconds(piece * count) for _ in range(3)) for count in (5_000, 40_000))
    assert long < 24 * short + 0.01
