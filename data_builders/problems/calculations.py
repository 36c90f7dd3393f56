"""What a gold solution calculates: its operations, and the products among them that a fact token can stand for.

    from mulfact.data_builders.problems.calculations import *
    calculation_of("6*9=<<6*9=54>>54 eggs, <<54-4=50>>50 are left")    # operations: multiply, subtract; facts: 6*9

By these an item belongs to a stratum, the same one in every arm.
"""

import re
from dataclasses import dataclass
from functools import cache

from mulfact.data_builders.problems.prompts import ANNOTATION
from mulfact.tokenizers.facts import LARGEST_OPERAND, FactSettings
from mulfact.tokenizers.rewrite import Rewriter

OPERATIONS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
LARGEST_FACT = 9  # operand of the facts by which an item is called fact-bearing
_SIGN = re.compile(r"(?<=[\d)%])\s*([-+*/])")  # between two numbers, not in front of a negative one
_WHOLE = re.compile(r"(?<=\d)\.0+(?!\d)")  # of 8.0, as some sets write whole numbers


@dataclass(frozen=True)
class Calculation:
    """Names of OPERATIONS that occur, and the operands, in ascending order, of the products up to LARGEST_OPERAND."""

    operations: tuple[str, ...]
    facts: tuple[tuple[int, int], ...]


def calculation_of(*expressions: str) -> Calculation:
    """Return what expressions hold: one alone, such as `4*(5+2)`, or the annotations of a solution that has them."""
    texts = [
        text
        for whole in expressions
        for text in (ANNOTATION.findall(whole) if "<<" in whole else [_WHOLE.sub("", whole)])
    ]
    signs = {sign for text in texts for sign in _SIGN.findall(text)}
    operands = [match.fact.operands for text in texts for match in rewriter().matches(text)]
    facts = {(min(pair), max(pair)) for pair in operands if pair is not None}
    return Calculation(tuple(name for name, sign in OPERATIONS.items() if sign in signs), tuple(sorted(facts)))


@cache
def rewriter() -> Rewriter:
    """Return what finds a product that stands by itself, in every writing."""
    return Rewriter(FactSettings(mode="weak", max_operand=LARGEST_OPERAND))
