"""Word problems in GSM8K's own form, told from a computation graph.

    python -m mulfact.data_builders.synthetic.word_problems --problems 3 --seed 0 --max_steps 3

A problem opens with one template of a story and goes on with others, each of which takes the quantity that the story
has reached (things, money, minutes, what two people have) and gives the next. The templates stand in stories/;
stories/graph.py draws their numbers. Every annotation of every solution is evaluated again from the finished text.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from mulfact.data_builders.contamination.held_out import problem_is_held_out
from mulfact.data_builders.problems.calculations import OPERATIONS
from mulfact.data_builders.problems.problem import Problem
from mulfact.data_builders.synthetic.stories import comparisons, counting, measures, money, time_and_way
from mulfact.data_builders.synthetic.stories.graph import Operands, Scene, Template, add_phrases, numbers_in_words
from mulfact.data_builders.synthetic.stories.words import OBJECTS, PEOPLE, TIMES
from mulfact.errors import UserError, command

STORIES = (counting, money, time_and_way, measures, comparisons)
TEMPLATES = tuple(template for stories in STORIES for template in (*stories.OPENINGS, *stories.EVENTS))
DEFAULT_MIX = {"add": 0.2, "subtract": 0.2, "multiply": 0.5, "divide": 0.1}
WORD_NUMBERS = 0.1  # of problems tell their small numbers in words
MAX_STEPS = 8
TRIES = 8  # draws of a template before the problem is given up

_ANNOTATION = re.compile(r"<<(\d+)([-+*/])(\d+)=(\d+)>>(\d+)")


Equation = Callable[[int, str, int, int, str], str]  # left, sign, right, value, unit


def problems(
    seed: int,
    held_out: bool,
    max_steps: int,
    min_steps: int = 1,
    max_operand: int = 9,
    operations: Mapping[str, float] | None = None,
) -> Iterator[Problem]:
    """Yield word problems without end, a pure function of the arguments.

    held_out: True yields only problems kept for the probes, False only others, which show no held-out product either.
    max_operand: the largest factor, divisor, quotient and addend; 9 makes the products the 1-9 facts.
    operations: relative frequency of add, subtract, multiply and divide among the steps that are chosen.
    Raises UserError for settings that contradict each other.
    """
    check_difficulty(min_steps, max_steps, max_operand, operations or DEFAULT_MIX)
    mix = operations or DEFAULT_MIX
    random = Random(f"word problems {seed}").random
    operands = Operands(random, max_operand, avoid_held_out=not held_out)
    teller = Teller(random, operands, lotteries(tuple((OPERATIONS[name], mix[name]) for name in OPERATIONS)))
    while True:
        problem = teller.tell(min_steps + int(random() * (max_steps - min_steps + 1)))
        if problem is not None and problem_is_held_out(problem.question) == held_out:
            check_annotations(problem)
            yield problem


def check_difficulty(min_steps: int, max_steps: int, max_operand: int, operations: Mapping[str, float]) -> None:
    """Raise UserError unless word problems can be told with these settings."""
    if not 1 <= min_steps <= max_steps <= MAX_STEPS:
        raise UserError(
            f"word problems of {min_steps} to {max_steps} steps: expected 1 <= min_steps <= max_steps <= {MAX_STEPS}"
        )
    if not 5 <= max_operand <= 9999:
        raise UserError(f"max_operand is {max_operand}: expected a number from 5 to 9999")
    if set(operations) - set(OPERATIONS) or not all(operations.get(name, 0) > 0 for name in OPERATIONS):
        raise UserError(
            f"operations is {dict(operations)}: expected a positive weight for each of {', '.join(OPERATIONS)}"
        )


@lru_cache(maxsize=8)
def lotteries(weights: tuple[tuple[str, float], ...]) -> dict[tuple[str, int], tuple[Template, ...]]:
    """Return for each kind of quantity and number of steps to go the templates to draw from.

    Each is a list of a thousand entries, more or less, in which each operation has its weight and its templates equal
    parts. Only templates that lead to a problem of exactly so many steps are in it.
    """
    drawn: dict[tuple[str, int], tuple[Template, ...]] = {}
    kinds = sorted({template.takes for template in TEMPLATES})
    for steps in range(1, MAX_STEPS + 1):
        for kind in kinds:
            fitting: dict[str, list[Template]] = {sign: [] for sign, _ in weights}
            for template in TEMPLATES:
                rest = steps - len(template.operations)
                completes = bool(template.asks) if rest == 0 else bool(drawn.get((template.gives, rest)))
                if template.takes == kind and completes:
                    fitting[template.sign].append(template)
            total = sum(weight for sign, weight in weights if fitting[sign])
            entries: list[Template] = []
            for sign, weight in weights:
                if fitting[sign]:
                    entries += fitting[sign] * max(1, round(1000 * weight / total / len(fitting[sign])))
            drawn[kind, steps] = tuple(entries)
    return drawn


def compact(left: int, sign: str, right: int, value: int, unit: str) -> str:
    """6*9=<<6*9=54>>54"""
    equation = f"{left}{sign}{right}="
    return f"{equation}{unit}<<{equation}{value}>>{value}"


def spaced(left: int, sign: str, right: int, value: int, unit: str) -> str:
    """6 * 9 = <<6*9=54>>54"""
    return f"{left} {sign} {right} = {unit}<<{left}{sign}{right}={value}>>{value}"


def lettered(left: int, sign: str, right: int, value: int, unit: str) -> str:
    """6 x 9 = <<6*9=54>>54"""
    return f"{left} {'x' if sign == '*' else sign} {right} = {unit}<<{left}{sign}{right}={value}>>{value}"


EQUATIONS: tuple[Equation, ...] = (compact, compact, compact, compact, spaced, lettered)


class Teller:
    """Tells problems: draws templates that fit together, fills them, and joins their sentences and lines."""

    def __init__(
        self,
        random: Callable[[], float],
        operands: Operands,
        drawn: Mapping[tuple[str, int], tuple[Template, ...]],
    ) -> None:
        self.random = random
        self.operands = operands
        self.lotteries = drawn

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.random() * len(options))]

    def tell(self, steps: int) -> Problem | None:
        """Return a problem of so many steps; None when the numbers drawn leave no template that fits."""
        person, other, third = self.pick(PEOPLE), self.pick(PEOPLE), self.pick(PEOPLE)
        if person is other or other is third or third is person:
            return None
        scene: Scene = {**person, **self.pick(OBJECTS), "other": other["name"], "third": third["name"]}
        write = self.pick(EQUATIONS)
        in_words = self.random() < WORD_NUMBERS
        kind, rest = "", steps
        sentences: list[str] = []
        lines: list[str] = []
        while rest:
            for _ in range(TRIES):
                template = self.pick(self.lotteries[kind, rest])
                after = self.fill(template, scene, write, lines)
                if after is not None:
                    break
            else:
                return None
            scene = after
            words = numbers_in_words(template, scene) if in_words and template.in_words else scene
            sentences.append(self.pick(template.texts)(words))
            kind, rest = template.gives, rest - len(template.operations)
        sentences.append(self.pick(template.asks)(scene))
        return Problem(" ".join(sentences), "\n".join(lines), str(scene[template.operations[-1].target]), steps)

    def fill(self, template: Template, scene: Scene, write: Equation, lines: list[str]) -> Scene | None:
        """Return the scene after a template and append its solution lines to `lines`; None when no numbers fit."""
        scene = scene.copy()
        equations = []
        for operation in template.operations:
            values = self.operands.draw(operation, scene)
            if values is None:
                return None
            equations.append(values)
        scene["Then"] = self.pick(TIMES)
        if template.has_phrases:
            add_phrases(template, scene)
        for operation, (left, right, result), (unit, wordings) in zip(
            template.operations, equations, template.lines, strict=True
        ):
            scene[unit] = write(left, operation.sign, right, result, "$" if unit == "dollars" else "")
            lines.append(self.pick(wordings)(scene))
        return scene


def check_annotations(problem: Problem) -> None:
    """Evaluate every annotation of the solution. Raises ValueError when one is false or the last is not the answer."""
    notes = _ANNOTATION.findall(problem.solution)
    if len(notes) != problem.steps or problem.solution.count("<<") != problem.steps or notes[-1][3] != problem.answer:
        raise ValueError(f"not a solution of {problem.steps} annotated steps that ends in the answer: {problem}")
    for left, sign, right, value, shown in notes:
        if value != shown or not is_true(int(left), sign, int(right), int(value)):
            raise ValueError(f"{left}{sign}{right} is not {value}, or not {shown}: {problem}")


def is_true(left: int, sign: str, right: int, value: int) -> bool:
    """Return whether the equation holds, without rounding."""
    if sign == "*":
        return left * right == value
    if sign == "+":
        return left + right == value
    if sign == "-":
        return left - right == value
    return left == value * right


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Print word problems with their annotated solutions.")
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held_out", action="store_true", help="those that are kept for the probes")
    parser.add_argument("--min_steps", type=int, default=1)
    parser.add_argument("--max_steps", type=int, default=3)
    parser.add_argument("--max_operand", type=int, default=9)
    arguments = parser.parse_args()

    stream = problems(
        arguments.seed, arguments.held_out, arguments.max_steps, arguments.min_steps, arguments.max_operand
    )
    for problem, _ in zip(stream, range(arguments.problems), strict=False):
        print(f"{problem.question}\n{problem.solution}\n#### {problem.answer}\n")


if __name__ == "__main__":
    main()
