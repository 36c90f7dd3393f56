"""Drills: single operations, remainders, worked carries and mixed expressions, as lines or as questions and answers.

    python -m mulfact.data_builders.synthetic.documents --tables 0 --drills 1 --word_problems 0 --megabytes 0.01

No product, quotient or expression that is held out is ever written: the operands are drawn again instead.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mulfact.data_builders.contamination.held_out import expression_is_held_out, pair_is_held_out
from mulfact.data_builders.problems.prompts import format_completion, format_prompt
from mulfact.data_builders.synthetic.stories.words import number_in_chinese, number_in_words

# How one document writes its operations: the signs of + - * /, the equals sign, and how often a document takes it.
STYLES = (
    (8, (("+", "-", "*", "/"), "=")),
    (2, ((" + ", " - ", " * ", " / "), " = ")),
    (2, ((" + ", " - ", " × ", " ÷ "), " = ")),
    (1, (("+", "-", "×", "÷"), "=")),
    (1, (("+", "-", "·", ":"), "=")),
    (1, ((" + ", " - ", " x ", " / "), " = ")),
    (1, ((" plus ", " minus ", " times ", " divided by "), " is ")),
    (1, ((" plus ", " minus ", " times ", " divided by "), " equals ")),
    (1, (("加", "减", "乘", "除以"), "等于")),
)
WORD_STYLES = (
    (number_in_words, (" plus ", " minus ", " times ", " divided by "), " is "),
    (number_in_chinese, ("加", "减", "乘", "除以"), "等于"),
)
ASKING_STYLES = STYLES[0:4] + STYLES[6:7]
ASKING = ("What is {}?", "What is {}?", "What is {}?", "Calculate {}.", "How much is {}?", "Compute {}.", "Find {}.")
REMAINDERS = ("{n}/{d}={q} remainder {r}", "{n} ÷ {d} = {q} R {r}", "{n} divided by {d} is {q} remainder {r}")
# Expressions of several operations: from a, b, d of one digit and c of any length to text, value and the product shown.
MIXED: tuple[Callable[[int, int, int, int], tuple[str, int, int, int]], ...] = (
    lambda a, b, c, d: (f"{a}*{b}+{c}", a * b + c, a, b),
    lambda a, b, c, d: (f"{a}+{b}*{c}", a + b * c, b, c),
    lambda a, b, c, d: (f"{a}*{b}-{c}", a * b - c, a, b),
    lambda a, b, c, d: (f"({a}+{b})*{c}", (a + b) * c, a + b, c),
    lambda a, b, c, d: (f"{a}*{b}+{c}*{d}", a * b + c * d, c, d),
    lambda a, b, c, d: (f"{c}-{a}*{b}", c - a * b, a, b),
    lambda a, b, c, d: (f"{a}+{b}-{c}", a + b - c, 1, 1),
    lambda a, b, c, d: (f"{c}-({a}+{b})", c - (a + b), 1, 1),
)

COT_SHARE = 0.25  # of questions: the answer with a solution line
MIXED_SHARE = 0.15  # of questions: expressions of several operations

Fact = tuple[int, int, int, int]  # left, index of the sign, right, result


def repeated(weighted: Sequence[tuple[int, Any]]) -> tuple[Any, ...]:
    """Return a tuple to draw from, in which each option stands as often as its weight says."""
    return tuple(option for times, option in weighted for _ in range(times))


class Drills:
    """Writes documents of arithmetic on operands of one to `max_digits` digits, a few hundred characters each."""

    def __init__(
        self, random: Callable[[], float], max_digits: int, operations: Mapping[str, float], prompt_share: float
    ) -> None:
        self.random = random
        self.ranges = [(10 ** (digits - 1), 9 * 10 ** (digits - 1)) for digits in range(1, max_digits + 1)]
        self.prompt_share = prompt_share
        self.styles = repeated(STYLES)
        self.asking_signs = repeated([(times, signs) for times, (signs, _) in ASKING_STYLES])
        total = sum(operations.values())
        self.facts: tuple[Callable[[], Fact], ...] = repeated(
            [
                (max(1, round(100 * operations[name] / total)), draw)
                for name, draw in (
                    ("add", self.addition),
                    ("subtract", self.subtraction),
                    ("multiply", self.multiplication),
                    ("divide", self.division),
                )
            ]
        )
        self.kinds: tuple[Callable[[], str], ...] = repeated(
            [(12, self.lines), (1, self.lines_in_words), (2, self.remainders), (3, self.expressions)]
            + ([(2, self.worked_steps)] if max_digits > 1 else [])
        )
        self.worked = (self.worked_addition, self.worked_subtraction, self.worked_product)

    def document(self) -> str:
        """Return one document: questions and answers, or lines of one kind."""
        return self.questions() if self.random() < self.prompt_share else self.pick(self.kinds)()

    # ------------------------------------------------------------ kinds of documents

    def questions(self) -> str:
        """Return prompts with their completions, in the very form of post-training."""
        asking = self.pick(ASKING)
        signs = self.pick(self.asking_signs)
        style = "cot" if self.random() < COT_SHARE else "direct"
        items = []
        for _ in range(3 + int(self.random() * 8)):
            if self.random() < MIXED_SHARE:
                shown, result = self.mixed()
                note = shown
            else:
                left, sign, right, result = self.fact()
                shown, note = f"{left}{signs[sign]}{right}", f"{left}{'+-*/'[sign]}{right}"
            prompt = format_prompt(asking.format(shown), style)
            items.append(prompt + format_completion(f"{shown}=<<{note}={result}>>{result}", str(result), style))
        return "\n\n".join(items)

    def lines(self) -> str:
        signs, equals = self.pick(self.styles)
        facts = [self.fact() for _ in range(self.count())]
        return "\n".join([f"{left}{signs[sign]}{right}{equals}{result}" for left, sign, right, result in facts])

    def lines_in_words(self) -> str:
        spell, signs, equals = self.pick(WORD_STYLES)
        lines: list[str] = []
        while len(lines) < 8:
            left, sign, right, result = self.fact()
            if max(left, result) < 1000 > right:
                lines.append(f"{spell(left)}{signs[sign]}{spell(right)}{equals}{spell(result)}")
        return "\n".join(lines)

    def remainders(self) -> str:
        write = self.pick(REMAINDERS)
        lines = []
        for _ in range(self.count()):
            quotient, divisor = self.factors()
            rest = int(self.random() * divisor)
            lines.append(write.format(n=quotient * divisor + rest, d=divisor, q=quotient, r=rest))
        return "\n".join(lines)

    def expressions(self) -> str:
        return "\n".join([f"{expression}={value}" for expression, value in (self.mixed() for _ in range(self.count()))])

    def worked_steps(self) -> str:
        work = self.pick(self.worked)
        return "\n".join([work() for _ in range(self.count() // 2)])

    # ------------------------------------------------------------ operations

    def count(self) -> int:
        return 8 + int(self.random() * 24)

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.random() * len(options))]

    def number(self) -> int:
        low, span = self.ranges[int(self.random() * len(self.ranges))]
        return low + int(self.random() * span)

    def fact(self) -> Fact:
        return self.facts[int(self.random() * len(self.facts))]()

    def addition(self) -> Fact:
        left, right = self.number(), self.number()
        return left, 0, right, left + right

    def subtraction(self) -> Fact:
        left, right = self.number(), self.number()
        return (left, 1, right, left - right) if left >= right else (right, 1, left, right - left)

    def multiplication(self) -> Fact:
        left, right = self.factors()
        return left, 2, right, left * right

    def division(self) -> Fact:
        quotient, divisor = self.factors()
        return quotient * divisor, 3, divisor, quotient

    def factors(self) -> tuple[int, int]:
        left, right = self.number(), self.number()
        while (left > 20 or right > 20) and pair_is_held_out(left, right):
            left, right = self.number(), self.number()
        return left, right

    def mixed(self) -> tuple[str, int]:
        """Return an expression of two or three operations and its value, which is never negative."""
        while True:
            expression, value, left, right = self.pick(MIXED)(self.digit(), self.digit(), self.number(), self.digit())
            if value >= 0 and not pair_is_held_out(left, right) and not expression_is_held_out(expression):
                return expression, value

    def digit(self) -> int:
        return 2 + int(self.random() * 8)

    # ------------------------------------------------------------ worked steps

    def worked_addition(self) -> str:
        """47+38: 7+8=15, write 5, carry 1; 4+3+1=8; 47+38=85"""
        while True:
            left, _, right, result = self.addition()
            steps: list[str] = []
            held_out, carry, a, b = False, 0, left, right
            while a or b:
                parts = f"{a % 10}+{b % 10}" + (f"+{carry}" if carry else "")
                held_out |= bool(carry) and expression_is_held_out(parts)
                total = a % 10 + b % 10 + carry
                a, b, carry = a // 10, b // 10, total // 10
                steps.append(
                    f"{parts}={total}" + (f", write {total % 10}, carry {carry}" if carry and (a or b) else "")
                )
            if not held_out:
                return f"{left}+{right}: {'; '.join(steps)}; {left}+{right}={result}"

    def worked_subtraction(self) -> str:
        """52-17: 12-7=5, borrow 1; 5-1-1=3; 52-17=35"""
        while True:
            left, _, right, result = self.subtraction()
            steps: list[str] = []
            held_out, borrow, a, b = False, 0, left, right
            while a or b:
                borrowed = int(a % 10 < b % 10 + borrow)
                parts = f"{a % 10 + 10 * borrowed}-{b % 10}" + (f"-{borrow}" if borrow else "")
                held_out |= bool(borrow) and expression_is_held_out(parts)
                difference = a % 10 + 10 * borrowed - b % 10 - borrow
                steps.append(f"{parts}={difference}" + (", borrow 1" if borrowed else ""))
                a, b, borrow = a // 10, b // 10, borrowed
            if not held_out:
                return f"{left}-{right}: {'; '.join(steps)}; {left}-{right}={result}"

    def worked_product(self) -> str:
        """47*6 = 40*6+7*6 = 240+42 = 282"""
        while True:
            left, right = self.factors()
            tens, ones = left - left % 10, left % 10
            if not tens or not ones:
                return f"{left}*{right}={left * right}"
            parts = f"{tens}*{right}+{ones}*{right}"
            if not (pair_is_held_out(tens, right) or pair_is_held_out(ones, right) or expression_is_held_out(parts)):
                return f"{left}*{right} = {parts} = {tens * right}+{ones * right} = {left * right}"
