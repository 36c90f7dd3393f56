"""Arithmetic probes: the table of 1-20, larger products and mixed expressions where training never showed them.

python -c "from mulfact.data_builders.problem_sets.probes import table_20; print(*table_20().items[:3], sep='\n')"
"""

import random
from collections.abc import Callable, Iterable
from itertools import product

from mulfact.data_builders.contamination.held_out import expression_is_held_out, pair_is_held_out
from mulfact.data_builders.contamination.shown_products import Shown
from mulfact.data_builders.problems.items import Benchmark, Item, calculating
from mulfact.data_builders.problems.prompts import format_prompt

ONE_DIGIT = range(2, 10)
TWO_DIGITS = range(10, 100)
UNSEEN = "that are held out of synthetic text, and that GSM8K's training split does not show either"
MIXED_FORMS: dict[str, Callable[[int, int, int, int], int]] = {
    "{a}*{b}+{c}": lambda a, b, c, d: a * b + c,
    "{a}+{b}*{c}": lambda a, b, c, d: a + b * c,
    "{a}*{b}-{c}": lambda a, b, c, d: a * b - c,
    "({a}+{b})*{c}": lambda a, b, c, d: (a + b) * c,
    "{a}*{b}+{c}*{d}": lambda a, b, c, d: a * b + c * d,
}


def table_20() -> Benchmark:
    """Return the 400 products of 1-20 in one phrasing."""
    items = [product_question("table_20", a, b) for a, b in product(range(1, 21), repeat=2)]
    return probe("table_20", "all 400 products of 1-20", items)


def digits_2x1(count: int, seed: int, shown: Shown) -> Benchmark:
    """Return at most `count` unseen products of a two-digit and a one-digit number, in either order."""
    pairs = [*product(TWO_DIGITS, ONE_DIGIT), *product(ONE_DIGIT, TWO_DIGITS)]
    items = sampled_products("digits_2x1", pairs, count, seed, shown)
    return probe("digits_2x1", f"two-digit by one-digit products {UNSEEN}", items)


def digits_2x2(count: int, seed: int, shown: Shown) -> Benchmark:
    """Return at most `count` unseen products of two two-digit numbers."""
    items = sampled_products("digits_2x2", product(TWO_DIGITS, TWO_DIGITS), count, seed, shown)
    return probe("digits_2x2", f"two-digit by two-digit products {UNSEEN}", items)


def mixed(count: int, seed: int, shown: Shown) -> Benchmark:
    """Return at most `count` unseen expressions of two or three operations on 2-9; no value is negative."""
    values = {
        form.format(a=a, b=b, c=c, d=d): value(a, b, c, d)
        for form, value in MIXED_FORMS.items()
        for a, b, c, d in product(ONE_DIGIT, repeat=4)
    }
    unseen = [
        expression
        for expression, value in values.items()
        if value >= 0 and expression_is_held_out(expression) and not shown.holds(expression)
    ]
    chosen = random.Random(f"mixed {seed}").sample(unseen, min(count, len(unseen)))
    items = [question(f"mixed-{e}", f"What is {e}?", str(values[e]), e) for e in sorted(chosen)]
    return probe("mixed", f"expressions of several operations {UNSEEN}", items)


def sampled_products(name: str, pairs: Iterable[tuple[int, int]], count: int, seed: int, shown: Shown) -> list[Item]:
    unseen = [(a, b) for a, b in pairs if pair_is_held_out(a, b) and (min(a, b), max(a, b)) not in shown.products]
    chosen = random.Random(f"{name} {seed}").sample(unseen, min(count, len(unseen)))
    return [product_question(name, a, b) for a, b in sorted(chosen)]


def product_question(name: str, a: int, b: int) -> Item:
    return question(f"{name}-{a}x{b}", f"What is {a}*{b}?", str(a * b), f"{a}*{b}", (a, b))


def question(name: str, text: str, gold: str, expression: str, operands: tuple[int, int] | None = None) -> Item:
    prompt = format_prompt(text, "direct")
    return Item(name, prompt, gold, "arithmetic", operands=operands, **calculating(expression))


def probe(name: str, description: str, items: list[Item]) -> Benchmark:
    return Benchmark(name, "arithmetic", "direct", "generated", description, items)
