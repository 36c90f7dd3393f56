"""The computation graph under a word problem: what a template computes, and operands for which it makes sense.

A template is a few nodes of the graph, put into words. It is written as assignments:

    "v = a * b"             a and b are new: numbers that the sentence gives
    "v = v - a"             v is known: the quantity that the story has reached
    "n = a * b; v = v + n"  two steps of one event: a branch of the graph that joins the story

Names that no earlier step has computed are the given numbers. They are drawn so that every value of the graph is a
whole number of at least 2 (so every noun is a plural) and no factor, divisor, quotient or addend is too large.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from mulfact.data_builders.contamination.held_out import ALWAYS_TRAINED, pair_is_held_out
from mulfact.data_builders.synthetic.stories.words import FRACTIONS, PERCENTAGES
from mulfact.tokenizers.patterns.numerals import UNITS

# The words and values of the problem being told, by placeholder name; a constant of a graph stands for itself.
Scene = dict[Any, Any]
Phrase = Callable[[Scene], str]

# The quantities that a story of each kind has reached: what a template that takes the kind may refer to.
KNOWN = {"": (), "pair": ("v", "w"), "trio": ("v", "w", "x")}
# New divisors that stand in words: "half of them", "50% of them".
DIVISORS = {"part": tuple(FRACTIONS), "cut": tuple(PERCENTAGES)}
PHRASED = {"k", *DIVISORS}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_ASSIGNMENT = re.compile(r"(\w+) = (\w+) ([-+*/]) (\w+)")


@dataclass(frozen=True)
class Operation:
    """One step: `target = left sign right`, and which of the two operands the sentence gives."""

    target: str
    left: str | int
    sign: str
    right: str | int
    case: str  # the sign, and n (new) or k (known) for each operand: "*nn", "-kn"


class Template:
    """One event of a story: its part of the graph, the sentence that tells it, the question after it, the solution.

    texts: the sentence, in several wordings.
    lines: for each operation the wordings of its solution line; {eq} or {dollars} is the equation with its annotation.
    asks: the wordings of the question, if the problem ends here; none if it must go on.
    takes, gives: the kind of quantity that it goes on from ("" opens a story), and the kind that it leaves.
    """

    def __init__(
        self,
        graph: str,
        texts: tuple[str, ...],
        lines: tuple[tuple[str, ...], ...],
        asks: tuple[str, ...],
        takes: str = "",
        gives: str = "things",
    ) -> None:
        self.graph, self.takes, self.gives = graph, takes, gives
        self.operations, self.given = parse_graph(graph, KNOWN.get(takes, ("v",)))
        self.sign = self.operations[0].sign  # the mix of operations counts a template under its first one
        self.texts = tuple(map(phrase, texts))
        self.asks = tuple(map(phrase, asks))
        # With each operation the placeholder of its equation and the wordings of its line.
        self.lines = tuple(("dollars" if "{dollars}" in one[0] else "eq", tuple(map(phrase, one))) for one in lines)
        assert len(lines) == len(self.operations), f"{graph!r} needs a line for each operation"
        # "six bags", but not "$six".
        self.in_words = not any("$" in text for text in texts)
        # Most have none, and looking for one takes time.
        self.has_phrases = any(name in PHRASED for name in self.given)


def parse_graph(graph: str, known: tuple[str, ...]) -> tuple[tuple[Operation, ...], tuple[str, ...]]:
    """Return the operations of "n = a * b; v = v + n" and the names that are new, given that some are known."""
    names = set(known)
    operations, given = [], []
    for assignment in graph.split("; "):
        match = _ASSIGNMENT.fullmatch(assignment)
        assert match, f"not an assignment: {assignment!r}"
        target, left, sign, right = match.groups()
        case = sign + "".join("k" if name.isdigit() or name in names else "n" for name in (left, right))
        given += [name for name in (left, right) if not name.isdigit() and name not in names]
        names |= {target, left, right}
        operations.append(Operation(target, _operand(left), sign, _operand(right), case))
    return tuple(operations), tuple(given)


def phrase(text: str) -> Phrase:
    """Return a function from a scene to `text` with its {placeholders} filled, twice as fast as str.format_map."""
    names = _PLACEHOLDER.findall(text)
    pattern = _PLACEHOLDER.sub("%s", text.replace("%", "%%"))
    if len(names) < 2:
        return lambda scene: pattern % tuple(scene[name] for name in names)
    values = itemgetter(*names)
    return lambda scene: pattern % values(scene)


def _operand(name: str) -> str | int:
    return int(name) if name.isdigit() else name


class Operands:
    """Draws the given numbers of a template.

    `random` returns floats in [0, 1). With `avoid_held_out`, no product or quotient shows a held-out pair.
    """

    def __init__(self, random: Callable[[], float], max_operand: int, avoid_held_out: bool) -> None:
        self.random = random
        self.max_operand = max_operand
        self.check_pairs = avoid_held_out and max_operand > ALWAYS_TRAINED
        # Large ranges are drawn from half of the time, so that small numbers stay frequent, as in GSM8K.
        small, full = list(range(2, min(max_operand, 12) + 1)), list(range(2, max_operand + 1))
        self.pool = full if full == small else small * (len(full) // len(small)) + full
        self.cases = {
            "*nn": self.new_product, "*kn": self.multiply, "*nk": self.multiply_new, "*kk": self.multiply_known,
            "/nn": self.new_quotient, "/kn": self.divide,
            "+nn": self.new_sum, "+kn": self.add, "+kk": self.add_known,
            "-nn": self.new_difference, "-kn": self.subtract, "-nk": self.subtract_from_new, "-kk": self.subtract_known,
        }  # fmt: skip

    def draw(self, operation: Operation, scene: Scene) -> tuple[int, int, int] | None:
        """Put the operation's given numbers and its result into `scene`; return (left, right, result).

        None when no numbers fit: the quantity has no divisor, is too small to take from, is too large to multiply.
        """
        left, right = operation.left, operation.right
        values = self.cases[operation.case](scene.get(left, left), scene.get(right, right), operation)
        if values is not None:
            scene[left], scene[right], scene[operation.target] = values
        return values

    def number(self) -> int:
        return self.pool[int(self.random() * len(self.pool))]

    def shows_held_out(self, a: int, b: int) -> bool:
        return self.check_pairs and pair_is_held_out(a, b)

    # One method for each case of an operation, from what is known to (left, right, result) or None.

    def new_product(self, _left, _right, _operation):
        return self.multiply(self.number(), None, None)

    def multiply(self, left, _right, _operation):
        right = self.number()
        if left > self.max_operand or self.shows_held_out(left, right):
            return None
        return left, right, left * right

    def multiply_new(self, _left, right, _operation):
        return self.multiply_known(self.number(), right, None)

    def multiply_known(self, left, right, _operation):
        if max(left, right) > self.max_operand or self.shows_held_out(left, right):
            return None
        return left, right, left * right

    def new_quotient(self, _left, _right, operation):
        quotient, divisor = self.number(), self.number()
        if operation.right in DIVISORS:
            divisor = DIVISORS[operation.right][int(self.random() * len(DIVISORS[operation.right]))]
        return self.divide_known(quotient * divisor, divisor, None)

    def divide(self, left, _right, operation):
        fitting = [d for d in DIVISORS.get(operation.right, range(2, 13)) if left % d == 0]
        return self.divide_known(left, fitting[int(self.random() * len(fitting))], None) if fitting else None

    def divide_known(self, left, right, _operation):
        quotient, rest = divmod(left, right)
        if rest or quotient < 2 or max(quotient, right) > self.max_operand or self.shows_held_out(quotient, right):
            return None
        return left, right, quotient

    def new_sum(self, _left, _right, _operation):
        return self.add(self.number(), None, None)

    def add(self, left, _right, _operation):
        right = self.number()
        return left, right, left + right

    def add_known(self, left, right, _operation):
        return left, right, left + right

    def new_difference(self, _left, _right, _operation):
        return self.subtract_from_new(None, self.number(), None)

    def subtract(self, left, _right, _operation):
        if left < 4:
            return None
        right = self.number()
        if right > left - 2:
            right = 2 + int(self.random() * (left - 3))
        return left, right, left - right

    def subtract_from_new(self, _left, right, _operation):
        difference = self.number()
        return right + difference, right, difference

    def subtract_known(self, left, right, _operation):
        return (left, right, left - right) if left - right >= 2 else None


def add_phrases(template: Template, scene: Scene) -> None:
    """Put into `scene` the words for a given factor `k` (twice), divisor `part` (half) or divisor `cut` (50%)."""
    if "k" in template.given:
        scene["times"] = "twice" if scene["k"] == 2 else f"{scene['k']} times"
    if "part" in template.given:
        scene["part_of"] = FRACTIONS[scene["part"]]
    if "cut" in template.given:
        scene["percent"] = PERCENTAGES[scene["cut"]]


def numbers_in_words(template: Template, scene: Scene) -> Scene:
    """Return the scene with the given numbers up to twelve in words, for a sentence such as "six bags"."""
    small = {name: UNITS[scene[name]] for name in template.given if scene[name] <= 12}
    return {**scene, **small}
