"""Arithmetic probes: a complete table, unseen products and expressions, right golds, stable ids."""

import re

import pytest

from mulfact.data_builders.contamination.held_out import expression_is_held_out, pair_is_held_out
from mulfact.data_builders.contamination.shown_products import shown_in
from mulfact.data_builders.problem_sets import probes
from mulfact.evals.grading.equations import evaluate

NOTHING = shown_in([])


def asked(item):
    """Return the expression that an item's prompt asks for, in plain signs."""
    return item.prompt.removeprefix("Question: What is ").removesuffix("?\nAnswer:")


@pytest.fixture(scope="module")
def every():
    return [
        probes.table_20(),
        probes.digits_2x1(50, 0, NOTHING),
        probes.digits_2x2(50, 0, NOTHING),
        probes.mixed(50, 0, NOTHING),
    ]


def test_every_gold_is_the_value_of_what_is_asked(every):
    for probe in every:
        assert probe.family == "arithmetic"
        for item in probe.items:
            value = evaluate(re.findall(r"\d+|[-+*()]", asked(item)), {})
            assert item.answer == str(value)
            assert "-" not in item.answer
            if item.operands is not None:
                assert asked(item) == "{}*{}".format(*item.operands)


def test_the_table_is_complete():
    twenty = probes.table_20()
    assert {item.operands for item in twenty.items} == {(a, b) for a in range(1, 21) for b in range(1, 21)}


def test_larger_products_and_expressions_are_held_out(every):
    _, one_digit, two_digits, mixed = every
    assert all(pair_is_held_out(*item.operands) for item in (*one_digit.items, *two_digits.items))
    assert all(expression_is_held_out(asked(item)) for item in mixed.items)
    assert {tuple(sorted(map(len, map(str, item.operands)))) for item in one_digit.items} == {(1, 2)}
    assert {tuple(map(len, map(str, item.operands))) for item in two_digits.items} == {(2, 2)}


def test_what_gsm8k_shows_is_not_asked():
    free = probes.digits_2x1(10_000, 0, NOTHING).items
    a, b = free[0].operands
    shown = shown_in([f"{a} x {b} = {a * b}"])
    left = probes.digits_2x1(10_000, 0, shown).items
    assert len(left) == len(free) - 2  # in either order
    expression = asked(probes.mixed(10_000, 0, NOTHING).items[0])
    spaced = shown_in([" ".join(expression)])
    assert expression not in {asked(item) for item in probes.mixed(10_000, 0, spaced).items}


def test_ids_are_unique_and_the_seed_decides(every):
    ids = [item.id for probe in every for item in probe.items]
    assert len(ids) == len(set(ids))
    assert probes.mixed(20, 3, NOTHING) == probes.mixed(20, 3, NOTHING)
    assert probes.digits_2x2(20, 3, NOTHING) != probes.digits_2x2(20, 4, NOTHING)


def test_more_than_there_is_gives_all_there_is():
    assert 100 < len(probes.digits_2x1(10_000, 0, NOTHING).items) < 200
    assert 400 < len(probes.mixed(10_000, 0, NOTHING).items) < 800
