"""The stream of synthetic documents: nothing held out in any writing, the shares that were asked for, all facts."""

import itertools
import re
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import pytest
from product_reader import expressions_in, plain, products_in
from recipe_defaults import defaults

from mulfact.data_builders.contamination.held_out import expression_is_held_out, pair_is_held_out, problem_is_held_out
from mulfact.data_builders.problems.prompts import format_prompt
from mulfact.data_builders.synthetic.documents import SyntheticSettings, diversity, documents, up_to
from mulfact.errors import UserError

HARD = {"max_digits": 4, "max_steps": 8, "max_operand": 500, "largest_table": 20}
ONLY_TABLES = {"tables": 1.0, "drills": 0.0, "word_problems": 0.0}
ONLY_DRILLS = {"tables": 0.0, "drills": 1.0, "word_problems": 0.0}
ONLY_PROBLEMS = {"tables": 0.0, "drills": 0.0, "word_problems": 1.0}


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("47*6=282", (47, 6)),
        ("47 * 6 = 282", (47, 6)),
        ("47 × 6", (47, 6)),
        ("47·6", (47, 6)),
        ("47 x 6 = 282", (47, 6)),
        ("47 times 6 is 282", (47, 6)),
        ("forty-seven times six is two hundred and eighty-two", (47, 6)),
        ("47乘6等于282", (47, 6)),
        ("四十七乘六等于二百八十二", (47, 6)),
        ("She has <<47*6=282>>282", (47, 6)),
        ("282/6=47", (47, 6)),
        ("282:6=47", (47, 6)),
        ("285 ÷ 6 = 47 R 3", (47, 6)),
        ("282 divided by 6 is 47", (47, 6)),
        ("3+47*6=285", (47, 6)),
        ("2*3*47", (3, 47)),
        ("(40+7)*6=282", (47, 6)),
    ],
)
def test_the_reader_sees_a_product_in_every_writing(text, pair):
    assert pair in products_in(text)


def test_the_reader_sees_expressions():
    assert expressions_in("47*6 = 40*6+7*6 = 240+42 = 282") == {"40*6+7*6"}
    assert expressions_in("(3+4)*5=35, 1 + 2 - 3 is 0, 12-2") == {"(3+4)*5", "1+2-3"}


# ---------------------------------------------------------------- nothing held out


@pytest.mark.parametrize(("settings", "megabytes"), [(HARD, 3), ({}, 1), (ONLY_DRILLS | HARD, 1)])
def test_no_held_out_product_or_expression_in_any_writing(settings, megabytes):
    shown: set[tuple[int, int]] = set()
    expressions: set[str] = set()
    for text in stream(megabytes, **settings):
        shown |= products_in(text)
        expressions |= expressions_in(text)
    assert len(shown) > 2500  # or the reader has gone blind
    assert len(expressions) > 1000
    assert [pair for pair in shown if pair_is_held_out(*pair)] == []
    assert [expression for expression in expressions if expression_is_held_out(expression)] == []


@pytest.mark.parametrize("settings", [{}, {"max_steps": 8, "max_operand": 99}])
def test_no_held_out_problem(settings):
    questions = 0
    for text in stream(1, **ONLY_PROBLEMS, **settings):
        question = text.removeprefix("Question: ").partition("?")[0] + "?"
        assert not problem_is_held_out(question)
        questions += 1
    assert questions > 1000


# ---------------------------------------------------------------- what the stream is made of


def stream(megabytes: float, seed: int = 0, **settings):
    return up_to(documents(SyntheticSettings(**defaults("corpus.synthetic", **settings)), seed), int(megabytes * 1e6))


def test_shares_of_bytes():
    settings = {"tables": 0.2, "drills": 0.3, "word_problems": 0.5, "prompt_share": 1.0}
    sizes = Counter()
    for text in stream(1, **settings):
        first = text.partition("\n")[0]
        arithmetic = re.match(r"Question: (What is|Calculate|How much is|Compute|Find) [\d(]", first)
        kind = "drills" if arithmetic else "word_problems" if first.startswith("Question: ") else "tables"
        sizes[kind] += len(text.encode())
    for kind, size in sizes.items():
        assert size / sizes.total() == pytest.approx(settings[kind], abs=0.01)


def test_every_fact_occurs_regularly():
    counts: Counter[tuple[int, int]] = Counter()
    for text in stream(0.5, max_digits=4, max_steps=8, max_operand=99, largest_table=20):
        counts.update((int(a), int(b)) for a, b in re.findall(r"(?<!\d)([1-9])(?=\*([1-9])(?!\d))", plain(text)))
    assert min(counts[a, b] for a, b in itertools.product(range(1, 10), repeat=2)) >= 10


@pytest.fixture(scope="module")
def tables() -> str:
    return "\n".join(stream(1, **ONLY_TABLES))


@pytest.mark.parametrize(
    "writing",
    ["6*9=54", "6 * 9 = 54", "6 × 9 = 54", "6·9=54", "6 x 9 = 54", "6 times 9 is 54", "six times nine is fifty-four",
     "六乘九等于五十四", "6乘9等于54", "六九五十四", "二三得六", "二五得十",
     "6+9=15", "6 + 9 = 15", "6 plus 9 is 15", "six plus nine is fifteen", "六加九等于十五", "6加9等于15"],
)  # fmt: skip
def test_tables_show_every_writing(writing, tables):
    assert tables.count(writing) >= 3


@pytest.mark.parametrize(("add", "multiply"), [(1, 1), (1, 4), (4, 1)])
def test_sums_and_products_share_the_tables_as_the_operations_say(add, multiply):
    """An arm of sums has as much to rewrite as one of products only where sums stand as often."""
    operations = {"add": add, "subtract": 1, "multiply": multiply, "divide": 1}
    text = "\n".join(stream(1, **ONLY_TABLES, operations=operations))
    sums, products = text.count("6+9=15") + text.count("6 + 9 = 15"), text.count("6*9=54") + text.count("6 * 9 = 54")
    # 15 of the 21 writings of a sum are written so, 8 of the 22 of a product
    assert (sums / (15 / 21)) / (products / (8 / 22)) == pytest.approx(add / multiply, rel=0.35)


def test_drills_show_every_operation_and_length():
    text = "\n".join(stream(1, **ONLY_DRILLS, max_digits=4))
    for digits in range(1, 5):
        number = rf"(?<!\d)\d{{{digits}}}"
        for sign in (r"\+", "-", r"\*", "/"):
            assert re.search(rf"^{number}{sign}\d+=\d+$", text, re.MULTILINE), (digits, sign)
    assert re.search(r"\d+/\d+=\d+ remainder \d+", text)
    assert "carry 1" in text
    assert "borrow 1" in text


def test_drills_are_true():
    checked = 0
    for text in stream(1, **ONLY_DRILLS, max_digits=3):
        text = plain(
            re.sub(r"(\d+)(?:/| ÷ | divided by )(\d+)(?:=| = | is )(\d+) (?:R|remainder) (\d+)", r"\3*\2+\4=\1", text)
        )
        for statement in re.split(r"\n|[:;,] |<<|>>", text):
            sides = re.split(" = |=|等于| is (?=\\d)| equals ", statement)
            values = {
                eval(re.sub(r"(\d+)", r"Fraction(\1)", side), {"Fraction": Fraction})
                for side in sides
                if re.fullmatch(r"[\d()+\-*/]+", side)
            }
            assert len(values) <= 1, statement
            checked += len(sides) > 1
    assert checked > 30_000


def test_prompt_share_is_met_and_prompts_are_those_of_post_training():
    texts = list(stream(1, **ONLY_PROBLEMS, prompt_share=1.0))
    for text in texts:
        question, style = re.match(r"Question: ([^\n]*)\n(Solution|Answer):", text).groups()
        assert text.startswith(format_prompt(question, "cot" if style == "Solution" else "direct") + " ")
        assert re.fullmatch(r"#### \d+", text.split("\n")[-1].removeprefix("Answer: "))
    assert 0.6 < sum("\nSolution:" in text for text in texts) / len(texts) < 0.8
    half = list(stream(1, **ONLY_PROBLEMS, prompt_share=0.5))
    assert 0.45 < sum(text.startswith("Question: ") for text in half) / len(half) < 0.55


def test_few_duplicates_and_a_report_of_diversity():
    report = diversity(stream(2))
    assert report["duplicates"] < 0.01
    assert report["distinct_ngrams"][4] > report["distinct_ngrams"][3] > report["distinct_ngrams"][2] > 2000
    repeated = diversity(["6*9=54", "6*9=54", "6*9=54", "7*8=56"])
    assert repeated["duplicates"] == 0.5
    assert repeated["distinct_ngrams"] == {1: 3, 2: 4, 3: 3, 4: 2}


def test_the_stream_is_a_function_of_settings_and_seed():
    assert list(stream(0.1, seed=7)) == list(stream(0.1, seed=7))
    assert set(stream(0.1, seed=7)).isdisjoint(stream(0.1, seed=8))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"tables": 0.5}, "add up to 1"),
        ({"tables": -0.1, "drills": 0.6}, "shares of bytes"),
        ({"largest_table": 21}, "largest_table"),
        ({"max_digits": 5}, "max_digits"),
        ({"prompt_share": 2}, "prompt_share"),
        ({"max_steps": 9}, "max_steps"),
        ({"operations": {"plus": 1}}, "operations"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, named):
    with pytest.raises(UserError, match=named):
        SyntheticSettings(**defaults("corpus.synthetic", **settings))


def test_the_command(repository):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mulfact.data_builders.synthetic.documents", *arguments]
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    assert "Question: " in run("--megabytes", "0.01", "--seed", "1").stdout
    tables = ["--tables", "1", "--drills", "0", "--word_problems", "0"]
    assert "duplicates: 0.0" in run(*tables, "--megabytes", "0.05", "--report").stdout
    failed = run("--max_digits", "9")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: corpus.synthetic: max_digits is 9")
