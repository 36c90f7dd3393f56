"""Multiplication and addition tables in every writing that the tokenizer knows as a fact, and their documents."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random

from mulfact.data_builders.contamination.held_out import ALWAYS_TRAINED
from mulfact.data_builders.synthetic.stories.words import number_in_chinese, number_in_words

SMALL = 9  # the facts that become tokens; larger tables are the smaller part of the text
SMALL_SHARE = 0.6

Facts = dict[tuple[int, int], str]  # the text of each fact in one writing
Writing = Callable[[int, int, int], str]


@dataclass(frozen=True)
class Operation:
    """What tables of one operation are made of: its signs by how often a document takes each, its words, its titles."""

    result: Callable[[int, int], int]
    signs: tuple[tuple[int, str, str], ...]  # how often, the sign, the equals sign
    word: str
    character: str
    titles: tuple[str, ...]
    lists: tuple[str, ...]
    rhyme: Writing | None = None  # for 1-9 only

    def writings(self) -> list[tuple[int, Writing]]:
        """Return the writings of a fact, with how often a document takes each."""

        def signed(sign: str, equals: str) -> Writing:
            return lambda a, b, c: f"{a}{sign}{b}{equals}{c}"

        def spelled(spell: Callable[[int], str], sign: str, equals: str) -> Writing:
            return lambda a, b, c: f"{spell(a)}{sign}{spell(b)}{equals}{spell(c)}"

        word = f" {self.word} "
        return [
            *((times, signed(sign, equals)) for times, sign, equals in self.signs),
            (1, signed(word, " is ")),
            (1, signed(word, " equals ")),
            (1, spelled(number_in_words, word, " is ")),
            (1, spelled(number_in_words, word, " equals ")),
            (1, signed(self.character, "等于")),
            (1, spelled(number_in_chinese, self.character, "等于")),
        ]


def chinese_rhyme(a: int, b: int, product: int) -> str:
    """六九五十四 as it is recited; 二三得六 and 二五得十 where the product has one character."""
    return number_in_chinese(a) + number_in_chinese(b) + ("得" if product <= 10 else "") + number_in_chinese(product)


OPERATIONS = {
    "multiply": Operation(
        result=lambda a, b: a * b,
        signs=((6, "*", "="), (2, " * ", " = "), (2, " × ", " = "), (1, "×", "="), (1, "·", "="), (1, " · ", " = "),
               (2, " x ", " = ")),
        word="times",
        character="乘",
        titles=("Table of {n}", "The {n} times table", "Multiply by {n}:", "{n} times", ""),
        lists=("Multiplication facts", "Times tables, mixed", "Products to know:", ""),
        rhyme=chinese_rhyme,
    ),
    "add": Operation(
        result=lambda a, b: a + b,
        signs=((8, "+", "="), (7, " + ", " = ")),
        word="plus",
        character="加",
        titles=("Addition table of {n}", "The {n} plus table", "Add to {n}:", "{n} plus", ""),
        lists=("Addition facts", "Addition, mixed", "Sums to know:", ""),
    ),
}  # fmt: skip


@lru_cache(maxsize=4)
def written_facts(name: str, largest: int) -> tuple[tuple[Facts, ...], tuple[Facts, ...]]:
    """Return an operation's facts in every writing: each writing once, and each as often as its frequency says."""
    operation = OPERATIONS[name]
    pairs = [(a, b) for a in range(1, largest + 1) for b in range(1, largest + 1)]

    def written(write: Writing, limit: int) -> Facts:
        return {(a, b): write(a, b, operation.result(a, b)) for a, b in pairs if max(a, b) <= limit}

    facts = [(times, written(write, largest)) for times, write in operation.writings()]
    if operation.rhyme is not None:
        facts.append((1, written(operation.rhyme, SMALL)))
    return tuple(one for _, one in facts), tuple(one for times, one in facts for _ in range(times))


class Tables:
    """Writes documents of facts up to `largest`, at most 20: there nothing is held out.

    Sums and products stand as often as `operations`, the relative frequencies of a recipe, say.
    """

    def __init__(self, random: Random, largest: int, operations: Mapping[str, float]) -> None:
        assert largest <= ALWAYS_TRAINED
        self.rng = random
        self.largest = largest
        self.share_of_sums = operations["add"] / (operations["add"] + operations["multiply"])

    def document(self) -> str:
        """Return whole tables of several numbers, a list of mixed facts, or single facts in several writings."""
        name = "add" if self.rng.random() < self.share_of_sums else "multiply"
        writings, repeated = written_facts(name, self.largest)
        kind = self.rng.random()
        facts = self.rng.choice(repeated)
        limit = SMALL if self.rng.random() < SMALL_SHARE or (self.largest, self.largest) not in facts else self.largest
        if kind < 0.5:
            return self.whole_tables(facts, limit, OPERATIONS[name].titles)
        if kind < 0.9:
            return self.mixed_facts(facts, limit, OPERATIONS[name].lists)
        return self.in_several_writings(writings, limit)

    def whole_tables(self, facts: Facts, limit: int, titles: Sequence[str]) -> str:
        numbers = self.rng.sample(range(1, limit + 1), self.rng.randint(2, 5))
        title = self.rng.choice(titles)
        separator = self.rng.choice(("\n", "\n", ", "))
        order = list(range(1, limit + 1))
        if self.rng.random() < 0.5:
            self.rng.shuffle(order)
        number_first = self.rng.random() < 0.5
        parts = []
        for number in numbers:
            rows = [facts[(number, other) if number_first else (other, number)] for other in order]
            parts.append((title.format(n=number) + "\n" if title else "") + separator.join(rows))
        return "\n\n".join(parts)

    def mixed_facts(self, facts: Facts, limit: int, lists: Sequence[str]) -> str:
        title = self.rng.choice(lists)
        separator = self.rng.choice(("\n", "\n", ", "))
        random = self.rng.random
        rows = [facts[1 + int(random() * limit), 1 + int(random() * limit)] for _ in range(self.rng.randint(10, 40))]
        return (title + "\n" if title else "") + separator.join(rows)

    def in_several_writings(self, writings: Sequence[Facts], limit: int) -> str:
        lines = []
        for _ in range(self.rng.randint(3, 8)):
            a, b = self.rng.randint(1, limit), self.rng.randint(1, limit)
            written = [facts[a, b] for facts in writings if (a, b) in facts]
            lines.append("; ".join(self.rng.sample(written, self.rng.randint(3, 5))))
        return "\n".join(lines)
