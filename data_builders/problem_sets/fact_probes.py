"""Probes of the facts of 1-9, one task a phrasing: questions that no tokenizer of ours rewrites, and sums.

python -c "from mulfact.data_builders.problem_sets.fact_probes import *; print(fact_probe('boxes').items[0])"

In a fact arm "What is 6*9?" names the fact by one token, which says little about the fact where no token names it. Here
the same 81 facts are asked for in words that no arm rewrites. The sums ask as the products do, and say what an arm does
to arithmetic that its tokens do not name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from mulfact.data_builders.problems.items import Benchmark, Item
from mulfact.data_builders.problems.prompts import format_prompt


@dataclass(frozen=True)
class Phrasing:
    """How a fact is asked for: the question, the answer, what is asked in words, and whether it is a product."""

    question: str
    answer: Callable[[int, int], int]
    description: str
    operands: Callable[[int, int], tuple[int, int] | None]


def times(a: int, b: int) -> int:
    return a * b


PROBES = {
    "product_of": Phrasing(
        "What is the product of {a} and {b}?", times, "the product of 6 and 9: in words that no arm rewrites",
        lambda a, b: (a, b),
    ),
    "boxes": Phrasing(
        "How many pens are in {a} boxes of {b}?", times,
        "6 boxes of 9: a product that is meant, not written", lambda a, b: (a, b),
    ),
    "tens": Phrasing(
        "What is {a}*{b}0?", lambda a, b: 10 * a * b, "6*90: a product beside the table, from the same fact",
        lambda a, b: (a, 10 * b),
    ),
    "sums_9": Phrasing("What is {a}+{b}?", lambda a, b: a + b, "6+9: all 81 sums of 1-9", lambda a, b: None),
    "sum_of": Phrasing(
        "What is the sum of {a} and {b}?", lambda a, b: a + b, "the sum of 6 and 9: in words that no arm rewrites",
        lambda a, b: None,
    ),
}  # fmt: skip


def fact_probe(name: str) -> Benchmark:
    """Return the 81 pairs of 1-9 in one phrasing of PROBES."""
    phrasing = PROBES[name]
    items = [
        Item(
            f"{name}-{a}x{b}",
            format_prompt(phrasing.question.format(a=a, b=b), "direct"),
            str(phrasing.answer(a, b)),
            "arithmetic",
            operands=phrasing.operands(a, b),
        )
        for a, b in product(range(1, 10), repeat=2)
    ]
    return Benchmark(name, "arithmetic", "direct", "generated", phrasing.description, items)
