"""The equations in a solution: found in <<...>> annotations and in the running text, evaluated exactly.

    from mulfact.evals.grading.equations import *
    [wrong_results(c) for c in chains('6*9=55, 55+1=56')]

A small parser of numbers, + - * / and brackets works in exact rational arithmetic. Nothing of the text is ever
executed, and all sizes are bounded. What cannot be evaluated accuses nobody: in the gold solutions of GSM8K it finds a
wrong result in none of the 27,998 annotations, and in the running text of 0.6% of them.
"""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction

from mulfact.data_builders.problems.prompts import ANNOTATION

MAX_DIGITS = 30  # of one number
MAX_TOKENS = 200  # of one equation
MAX_DEPTH = 20  # of brackets

TOKEN = re.compile(
    r"(?P<number>\$?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?%?|\$?\.[0-9]+%?)"
    r"|(?P<operator>[-+*/×·÷−–()=]|[xX](?=\s*[$.(]?[0-9]))"
    r"|(?P<space>[ \t]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
PLAIN_OPERATORS = {"×": "*", "·": "*", "x": "*", "X": "*", "÷": "/", "−": "-", "–": "-"}


def chains(text: str) -> tuple[list[list[str]], list[list[str]]]:
    """Return the equations of the annotations and those of the running text, each in order, as lists of tokens.

    Both tell the same calculation, so each is a chain of its own.
    """
    annotated = [tokens for annotation in ANNOTATION.findall(text) for tokens in stretches(annotation)]
    running = [tokens for line in ANNOTATION.sub("", text).splitlines() for tokens in stretches(line)]
    return annotated, running


def stretches(line: str) -> Iterator[list[str]]:
    """Yield the longest stretches of one line that consist of numbers, operators and brackets, if they hold "=".

    A stretch that goes on from a word ("3 apples + 2 = 5", "2^3*2 = 16") is left out, and a last side that goes on in
    a letter ("26 = 5 + 3x") is cut off: what is not a number is not evaluated.
    """
    tokens: list[str] = []
    before = previous = ""  # the token in front of the stretch, and the last token of any kind
    for match in TOKEN.finditer(line + "\n"):
        if match.lastgroup == "other":
            if match.group().isalpha() and previous in tokens[-1:]:
                while tokens and tokens.pop() != "=":
                    pass
            if "=" in tokens and before not in ("^", "_") and not (tokens[0] in "+-*/" and before.isalnum()):
                yield tokens
            tokens, before = [], match.group()
        elif match.lastgroup != "space":
            token = match.group().lower()
            tokens.append(PLAIN_OPERATORS.get(token, token))
        previous = tokens[-1] if match.lastgroup in ("number", "operator") else ""


def wrong_results(chain: list[list[str]]) -> dict[Fraction, Fraction]:
    """Return the results that are written wrong in a chain of equations, each with what it should have been.

    True values are carried forward: where a wrong result is an operand later on, the true one takes its place. So after
    6*9=55 and 55+1=56, 55 should have been 54 and 56 should have been 55.
    A first side that is a lone number may be a label ("Day 2 = 30 + 5") and is left out.
    """
    true: dict[Fraction, Fraction] = {}
    for tokens in chain:
        sides = split_sides(tokens)
        value = None
        for side in sides[1:] if len(sides[0]) < 2 else sides:
            if not is_number(side):
                value = evaluate(side, true)
            elif value is not None and (written := evaluate(side, {})) is not None:
                if agrees(value, side):
                    true.pop(written, None)
                else:
                    true[written] = value
    return true


def split_sides(tokens: list[str]) -> list[list[str]]:
    sides: list[list[str]] = [[]]
    for token in tokens:
        if token == "=":
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


def is_number(side: list[str]) -> bool:
    """Return whether a side is one number, which may have a minus sign."""
    return len(side) - side[:1].count("-") == 1 and any(map(str.isdigit, side[-1]))


def agrees(value: Fraction, side: list[str]) -> bool:
    """Return whether a result as it is written is `value`, or `value` rounded or cut to the decimals that are written.

    Its percent sign may mean a hundredth or nothing, as in 10/50*100 = 20%.
    """
    percents = (Fraction(1, 100), Fraction(1)) if side[-1].endswith("%") else (Fraction(1),)
    written = [found for percent in percents if (found := evaluate(side, {}, percent)) is not None]
    return any(value == number or rounds_to(value, number, last_decimal(side)) for number in written)


def last_decimal(side: list[str]) -> Fraction:
    """Return one unit in the last decimal of a number with decimals; 0 for any other."""
    if "." not in side[-1]:
        return Fraction(0)
    return Fraction(1, 10 ** len(side[-1].rstrip("%").partition(".")[2]))


def rounds_to(value: Fraction, written: Fraction, unit: Fraction) -> bool:
    """Return whether `written`, given to `unit`, is `value` rounded to the nearest or cut."""
    return abs(value - written) * 2 <= unit or (value * written >= 0 and 0 <= abs(value) - abs(written) < unit)


def evaluate(
    tokens: list[str], true: Mapping[Fraction, Fraction], percent: Fraction = Fraction(1, 100)
) -> Fraction | None:
    """Return the exact value of an expression; None when it is not one, is too large, or divides by zero.

    `true`: what takes the place of an operand. `percent`: what a percent sign multiplies its number by.
    """
    if len(tokens) > MAX_TOKENS or any(sum(map(str.isdigit, token)) > MAX_DIGITS for token in tokens):
        return None
    parser = Parser(tokens, true, percent)
    try:
        value = parser.sum(0)
    except (ValueError, ZeroDivisionError):
        return None
    return value if parser.position == len(tokens) else None


class Parser:
    """Recursive descent over sums, products, signs and brackets. Raises ValueError for what is not an expression."""

    def __init__(self, tokens: list[str], true: Mapping[Fraction, Fraction], percent: Fraction) -> None:
        self.tokens, self.true, self.percent, self.position = tokens, true, percent, 0

    def next(self) -> str:
        return self.tokens[self.position] if self.position < len(self.tokens) else ""

    def take(self) -> str:
        token = self.next()
        self.position += 1
        return token

    def sum(self, depth: int) -> Fraction:
        value = self.product(depth)
        while self.next() in ("+", "-"):
            value = value + self.product(depth) if self.take() == "+" else value - self.product(depth)
        return value

    def product(self, depth: int) -> Fraction:
        value = self.factor(depth)
        while self.next() in ("*", "/"):
            value = value * self.factor(depth) if self.take() == "*" else value / self.factor(depth)
        return value

    def factor(self, depth: int) -> Fraction:
        token = self.take()
        if depth > MAX_DEPTH:
            raise ValueError("brackets too deep")
        if token == "-":
            return -self.factor(depth + 1)
        if token == "(":
            value = self.sum(depth + 1)
            if self.take() != ")":
                raise ValueError("bracket not closed")
            return value
        scale = self.percent if token.endswith("%") else 1
        number = Fraction(token.strip("$%").replace(",", "")) * scale
        return self.true.get(number, number)
