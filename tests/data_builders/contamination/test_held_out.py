"""The held-out decisions: stable, symmetric, of the right share, and never inside the tables."""

import subprocess
import sys

from mulfact.data_builders.contamination.held_out import expression_is_held_out, pair_is_held_out, problem_is_held_out


def test_the_tables_are_never_held_out():
    assert not any(pair_is_held_out(a, b) for a in range(21) for b in range(21))


def test_about_a_tenth_of_the_other_pairs_is_held_out_in_either_order():
    pairs = [(a, b) for a in range(21, 121) for b in range(2, 100)]
    assert all(pair_is_held_out(a, b) == pair_is_held_out(b, a) for a, b in pairs)
    assert 0.09 < sum(pair_is_held_out(a, b) for a, b in pairs) / len(pairs) < 0.11


def test_shares_of_problems_and_expressions():
    problems = [f"Tom has {a} bags with {b} apples in each. How many apples?" for a in range(100) for b in range(100)]
    assert 0.04 < sum(map(problem_is_held_out, problems)) / len(problems) < 0.06
    expressions = [f"{a}+{b}*3" for a in range(100) for b in range(100)]
    assert 0.09 < sum(map(expression_is_held_out, expressions)) / len(expressions) < 0.11


def test_writing_makes_no_difference():
    for n in range(200):
        assert problem_is_held_out(f"Tom has {n} apples.") == problem_is_held_out(f" tom  has\n{n} apples. ")
        assert expression_is_held_out(f"{n}+4*5") == expression_is_held_out(f"{n} + 4 × 5")


def test_decisions_do_not_depend_on_the_process():
    """A decision that changed between stages would let a probe's items into the training text."""
    code = (
        "from mulfact.data_builders.contamination.held_out import *;"
        "print([(a, b) for a in range(21, 40) for b in range(2, 12) if pair_is_held_out(a, b)],"
        "[n for n in range(99) if problem_is_held_out(f'p {n}')],"
        "[n for n in range(99) if expression_is_held_out(f'{n}+1*2')])"
    )
    run = [sys.executable, "-c", code]
    outputs = {
        subprocess.run(run, env={"PYTHONHASHSEED": str(seed)}, capture_output=True, text=True, check=True).stdout
        for seed in (1, 2)
    }
    assert len(outputs) == 1
    assert "(21, " in outputs.pop()
