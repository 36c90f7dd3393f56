"""Word problems: true solutions, a graph without loose ends, templates within reach, the difficulty asked for."""

import re
from collections import Counter
from fractions import Fraction
from itertools import islice

import pytest

from mulfact.data_builders.contamination.held_out import pair_is_held_out, problem_is_held_out
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.synthetic.stories.graph import Operands, Template
from mulfact.data_builders.synthetic.word_problems import (
    DEFAULT_MIX,
    STORIES,
    TEMPLATES,
    Teller,
    check_annotations,
    lotteries,
    problems,
)
from mulfact.errors import UserError
from mulfact.tokenizers.patterns.numerals import UNITS

ANNOTATION = re.compile(r"<<([^>]*)=([^>=]*)>>")
SETTINGS = [
    {"max_steps": 1},
    {"max_steps": 3},
    {"max_steps": 8, "min_steps": 6},
    {"max_steps": 8, "max_operand": 99},
    {"max_steps": 4, "max_operand": 2000, "operations": {"add": 1, "subtract": 1, "multiply": 1, "divide": 1}},
]


def take(count: int, seed: int = 0, held_out: bool = False, **settings) -> list[Problem]:
    return list(islice(problems(seed, held_out, **settings), count))


def exact(expression: str) -> Fraction:
    """Evaluate a chain of binary operations from left to right, apart from the generator's code."""
    numbers = [Fraction(number) for number in re.split(r"[-+*/]", expression)]
    value = numbers[0]
    for sign, number in zip(re.findall(r"[-+*/]", expression), numbers[1:], strict=True):
        value = {"+": value + number, "-": value - number, "*": value * number, "/": value / number}[sign]
    return value


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_annotation_is_true_and_the_last_is_the_answer(settings):
    for problem in take(400, **settings):
        notes = ANNOTATION.findall(problem.solution)
        assert all(exact(expression) == Fraction(value) for expression, value in notes)
        assert notes[-1][1] == problem.answer
        assert len(notes) == problem.steps == problem.solution.count("\n") + 1
        assert settings.get("min_steps", 1) <= problem.steps <= settings["max_steps"]


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_step_feeds_the_answer(settings):
    """A result that no later step uses would be a loose end of the graph."""
    for problem in take(400, **settings):
        notes = ANNOTATION.findall(problem.solution)
        for position, (_, value) in enumerate(notes[:-1]):
            later = [number for expression, _ in notes[position + 1 :] for number in re.findall(r"\d+", expression)]
            assert value in later, problem


@pytest.mark.parametrize("settings", SETTINGS)
def test_the_question_gives_every_number_that_the_solution_does_not_compute(settings):
    said = {"2": "twice half 50%", "3": "third", "4": "quarter 25%", "5": "fifth 20%", "10": "tenth 10%"}
    constants = {"2", "4", "7"}  # sides of a field, legs, days of a week
    for problem in take(400, **settings):
        question = set(re.findall(r"\w+%?", problem.question))
        known: set[str] = set()
        for expression, value in ANNOTATION.findall(problem.solution):
            for number in re.findall(r"\d+", expression):
                word = UNITS[int(number)] if int(number) <= 12 else number
                given = {number, word, *said.get(number, "").split()} & question
                assert given or number in known or number in constants, (number, problem)
            known.add(value)


def test_text_is_finished():
    for problem in take(3000, max_steps=8):
        text = problem.question + problem.solution
        assert not re.search(r"[{}]|None|  |\s$|\$[a-z]", text), problem
        assert problem.question.endswith("?")
        assert problem.question.count("?") == 1
        assert all(re.match(r"[A-Z0-9$]", line) and line.endswith(".") for line in problem.solution.split("\n"))


def test_at_least_sixty_templates_and_each_is_told():
    assert len(TEMPLATES) >= 60
    assert all(template.takes == "" for stories in STORIES for template in stories.OPENINGS)
    drawn = lotteries(tuple(zip("+-*/", DEFAULT_MIX.values(), strict=True)))
    reachable: set[Template] = set()
    waiting = [("", steps) for steps in range(1, 9)]
    while waiting:
        for template in set(drawn[waiting.pop()]) - reachable:
            reachable.add(template)
            waiting += [(template.gives, rest) for kind, rest in drawn if kind == template.gives]
    assert reachable == set(TEMPLATES)


def test_every_template_finds_operands(monkeypatch):
    """A template whose numbers never fit would be there in name only."""
    told: Counter[Template] = Counter()
    fill = Teller.fill

    def counting(self, template, *rest):
        after = fill(self, template, *rest)
        told[template] += after is not None
        return after

    monkeypatch.setattr(Teller, "fill", counting)
    take(6000, max_steps=8)
    assert [template.graph for template in TEMPLATES if not told[template]] == []


def test_one_digit_problems_turn_on_one_digit_products():
    for steps in (1, 2, 3):
        told = take(2000, max_steps=steps, max_operand=9)
        with_fact = [problem for problem in told if re.search(r"<<[1-9]\*[1-9]=", problem.solution)]
        assert len(with_fact) >= len(told) / 2
    for problem in take(2000, max_steps=2, max_operand=9):
        for left, right in re.findall(r"<<(\d+)\*(\d+)=", problem.solution):
            assert max(int(left), int(right)) <= 9


def test_operand_limits_and_operation_mix():
    for left, sign, right, value in annotations(take(2000, max_steps=4, max_operand=12)):
        assert sign != "*" or max(left, right) <= 12
        assert sign != "/" or max(right, value) <= 12
    divisions = {"add": 0.05, "subtract": 0.05, "multiply": 0.1, "divide": 0.8}
    signs = Counter(sign for _, sign, _, _ in annotations(take(2000, max_steps=1, operations=divisions)))
    assert signs["/"] > 0.7 * signs.total()


def annotations(told: list[Problem]) -> list[tuple[int, str, int, int]]:
    found = re.findall(r"<<(\d+)([-+*/])(\d+)=(\d+)>>", "".join(problem.solution for problem in told))
    return [(int(left), sign, int(right), int(value)) for left, sign, right, value in found]


def test_the_split_by_question():
    assert not any(problem_is_held_out(problem.question) for problem in take(2000, max_steps=3))
    assert all(problem_is_held_out(problem.question) for problem in take(100, held_out=True, max_steps=3))


def test_training_problems_show_no_held_out_product():
    for left, sign, right, value in annotations(take(4000, max_steps=8, max_operand=300)):
        if sign == "*":
            assert not pair_is_held_out(left, right)
        if sign == "/":
            assert not pair_is_held_out(value, right)


def test_same_seed_same_problems():
    assert take(50, seed=3, max_steps=4) == take(50, seed=3, max_steps=4)
    assert take(50, seed=3, max_steps=4) != take(50, seed=4, max_steps=4)


@pytest.mark.parametrize(
    ("solution", "answer", "steps"),
    [
        ("He has 6*9=<<6*9=55>>55.", "55", 1),
        ("He has 6*9=<<6*9=54>>45.", "54", 1),
        ("He has 6*9=<<6*9=54>>54.", "45", 1),
        ("He has 6*9=<<6*9=54>>54.", "54", 2),
        ("He has 7/2=<<7/2=3>>3.", "3", 1),
        ("He has <<6*x=54>>54, 1+1=<<1+1=2>>2.", "2", 1),
    ],
)
def test_a_false_solution_is_refused(solution, answer, steps):
    with pytest.raises(ValueError, match="not"):
        check_annotations(Problem("How many?", solution, answer, steps))


@pytest.mark.parametrize(
    "settings",
    [
        {"max_steps": 0},
        {"max_steps": 9},
        {"max_steps": 2, "min_steps": 3},
        {"max_steps": 2, "max_operand": 1},
        {"max_steps": 2, "operations": {"add": 1}},
        {"max_steps": 2, "operations": {"add": 1, "subtract": 1, "multiply": 1, "divide": 1, "root": 1}},
    ],
)
def test_settings_that_cannot_be_met_are_named(settings):
    with pytest.raises(UserError, match=r"steps|max_operand|operations"):
        take(1, **settings)


def test_operands_give_up_where_no_number_fits():
    operands = Operands(lambda: 0.5, 9, avoid_held_out=True)
    (subtraction,) = Template("v = v - a", ("",), (("",),), (), takes="things").operations
    (division,) = Template("v = v / a", ("",), (("",),), (), takes="things").operations
    assert operands.draw(subtraction, {"v": 3}) is None
    assert operands.draw(division, {"v": 13}) is None
    assert operands.draw(subtraction, {"v": 9}) is not None
