"""TinyGSM's code: computed exactly where it is plain arithmetic, refused where it is anything else."""

import pytest

from mulfact.data_builders.problem_sets.tinygsm import solve


def function(*lines, docstring=True):
    head = ["def simple_math_problem() -> int:"] + (['    """', "    Ann has 6 bags.", '    """'] if docstring else [])
    return "\n".join([*head, *(f"    {line}" for line in lines)])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["bags = 6", "each=9", "total = bags*each", "result = total", "return result"], "54"),
        (["a = 7", "return a // 2"], "3"),
        (["a = 7", "return a / 2"], "3.5"),
        (["a = 0.1", "b = a + 0.2", "return b"], "0.3"),
        (["a = -7", "return a % 4"], "1"),
        (["a = 3", "b = (a + 1) * -a", "return b"], "-12"),
        (["a = 5", "a = a - 5.5", "return a"], "-0.5"),
    ],
)
def test_values(lines, expected):
    assert solve(function(*lines))[1] == expected
    assert solve(function(*lines, docstring=False))[1] == expected


def test_the_assignments_are_the_chain_of_thought():
    assert solve(function("bags=6", "total = bags  *  9", "return total"))[0] == "bags = 6\ntotal = bags * 9"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "54",
        "import os",
        "def f(): return",
        "def f(): return 54",  # no chain of thought
        function("a = __import__('os').getcwd()", "return a"),
        function("a = open('x')", "return a"),
        function("for a in range(3): pass", "return a"),
        function("a = b", "return a"),
        function("a = 'six'", "return a"),
        function("a = True", "return a"),
        function("a = 1 / 0", "return a"),
        function("a = 1 / 3", "return a"),
        function("a = 9 ** 9 ** 9", "return a"),
        function("a = 9", *["a = a * a"] * 60, "return a"),
        function("a = 10", "return round(a)"),
        function("a, b = 1, 2", "return a"),
        function("a = 1"),
        function("a = 1", "return"),
        function("a = " + "(" * 900 + "1" + ")" * 900, "return a"),
        "def f():\n    a = 1\n    return a\nprint(1)",
        "def f():\n  a = 1\n return a",
        "a" * 5000,
        "\0",
    ],
)
def test_anything_else_is_unusable(code):
    assert solve(code) is None
