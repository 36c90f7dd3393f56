"""Probes of the facts of 1-9, one task a phrasing: the table as it is written, in words that no arm rewrites, and sums.

python -c "from mulfact.data_builders.problem_sets.fact_probes import *; print(fact_probe('boxes').items[0])"

In a fact arm "What is 6*9?" and "What is 6 times 9?" name the fact by one token, which says little about the fact where
no token names it. The same 81 facts are therefore asked for in words that no arm rewrites, too. The sums ask as the
products do, and say what an arm does to arithmetic that its tokens do not name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from mulfact.data_builders.problems.items import Benchmark, Item, calculating
from mulfact.data_builders.problems.prompts import format_prompt


@dataclass(frozen=True)
class Phrasing:
    """How a fact is asked for: what it calculates, its value, a description, and the question.

    Without a question the expression itself is the prompt, and the answer stands behind its equals sign.
    """

    expression: str
    answer: Callable[[int, int], int]
    description: str
    question: str | None = None


def times(a: int, b: int) -> int:
    return a * b


def plus(a: int, b: int) -> int:
    return a + b


PROBES = {
    "table_9": Phrasing("{a}*{b}", times, "6*9: all 81 products of 1-9, with their sign", "What is {a}*{b}?"),
    "table_9_words": Phrasing(
        "{a}*{b}", times, "6 times 9: all 81 products of 1-9, in words", "What is {a} times {b}?"
    ),
    "table_9_plain": Phrasing("{a}*{b}", times, "6*9=: all 81 products of 1-9, as bare equations"),
    "product_of": Phrasing(
        "{a}*{b}", times, "the product of 6 and 9: in words that no arm rewrites",
        "What is the product of {a} and {b}?",
    ),
    "boxes": Phrasing(
        "{a}*{b}", times, "6 boxes of 9: a product that is meant, not written",
        "How many pens are in {a} boxes of {b}?",
    ),
    "tens": Phrasing(
        "{a}*{b}0", lambda a, b: 10 * a * b, "6*90: a product beside the table, from the same fact",
        "What is {a}*{b}0?",
    ),
    "sums_9": Phrasing("{a}+{b}", plus, "6+9: all 81 sums of 1-9", "What is {a}+{b}?"),
    "sum_of": Phrasing(
        "{a}+{b}", plus, "the sum of 6 and 9: in words that no arm rewrites", "What is the sum of {a} and {b}?"
    ),
}  # fmt: skip


def fact_probe(name: str) -> Benchmark:
    """Return the 81 pairs of 1-9 in one phrasing of PROBES."""
    items = [fact_item(name, a, b) for a, b in product(range(1, 10), repeat=2)]
    return Benchmark(name, "arithmetic", "direct", "generated", PROBES[name].description, items)


def fact_item(name: str, a: int, b: int) -> Item:
    phrasing = PROBES[name]
    expression = phrasing.expression.format(a=a, b=b)
    if phrasing.question is None:
        prompt, rule = f"{expression}=", "number"
    else:
        prompt, rule = format_prompt(phrasing.question.format(a=a, b=b), "direct"), "gsm8k"
    answer = str(phrasing.answer(a, b))
    return Item(
        f"{name}-{a}x{b}", prompt, answer, "arithmetic", operands=(a, b), answer_rule=rule, **calculating(expression)
    )
