"""Multiplication tables in every writing that the tokenizer knows as a fact, and their documents."""

from collections.abc import Callable
from functools import lru_cache
from random import Random

from mulfact.data_builders.contamination.held_out import ALWAYS_TRAINED
from mulfact.data_builders.synthetic.stories.words import number_in_chinese, number_in_words

SMALL = 9  # the facts that become tokens; larger tables are the smaller part of the text
SMALL_SHARE = 0.6


def chinese_rhyme(a: int, b: int, product: int) -> str:
    """六九五十四 as it is recited; 二三得六 and 二五得十 where the product has one character."""
    return number_in_chinese(a) + number_in_chinese(b) + ("得" if product <= 10 else "") + number_in_chinese(product)


# Writings by how often a document takes each; the rhyme exists for 1-9 only.
WRITINGS: tuple[tuple[int, Callable[[int, int, int], str]], ...] = (
    (6, lambda a, b, c: f"{a}*{b}={c}"),
    (2, lambda a, b, c: f"{a} * {b} = {c}"),
    (2, lambda a, b, c: f"{a} × {b} = {c}"),
    (1, lambda a, b, c: f"{a}×{b}={c}"),
    (1, lambda a, b, c: f"{a}·{b}={c}"),
    (1, lambda a, b, c: f"{a} · {b} = {c}"),
    (2, lambda a, b, c: f"{a} x {b} = {c}"),
    (1, lambda a, b, c: f"{a} times {b} is {c}"),
    (1, lambda a, b, c: f"{a} times {b} equals {c}"),
    (1, lambda a, b, c: f"{number_in_words(a)} times {number_in_words(b)} is {number_in_words(c)}"),
    (1, lambda a, b, c: f"{number_in_words(a)} times {number_in_words(b)} equals {number_in_words(c)}"),
    (1, lambda a, b, c: f"{a}乘{b}等于{c}"),
    (1, lambda a, b, c: f"{number_in_chinese(a)}乘{number_in_chinese(b)}等于{number_in_chinese(c)}"),
)
TITLES = ("Table of {n}", "The {n} times table", "Multiply by {n}:", "{n} times", "")
LISTS = ("Multiplication facts", "Times tables, mixed", "Products to know:", "")

Facts = dict[tuple[int, int], str]  # the text of each fact in one writing


@lru_cache(maxsize=4)
def written_facts(largest: int) -> tuple[tuple[Facts, ...], tuple[Facts, ...]]:
    """Return the facts in every writing: each writing once, and each as often as its frequency says."""
    pairs = [(a, b) for a in range(1, largest + 1) for b in range(1, largest + 1)]
    writings = [{(a, b): write(a, b, a * b) for a, b in pairs} for _, write in WRITINGS]
    rhyme = {(a, b): chinese_rhyme(a, b, a * b) for a, b in pairs if max(a, b) <= SMALL}
    repeated = [facts for facts, (times, _) in zip(writings, WRITINGS, strict=True) for _ in range(times)]
    return (*writings, rhyme), (*repeated, rhyme)


class Tables:
    """Writes documents of multiplication facts up to `largest`, at most 20: there nothing is held out."""

    def __init__(self, random: Random, largest: int) -> None:
        assert largest <= ALWAYS_TRAINED
        self.rng = random
        self.largest = largest
        self.writings, self.repeated = written_facts(largest)

    def document(self) -> str:
        """Return whole tables of several numbers, a list of mixed facts, or single facts in several writings."""
        kind = self.rng.random()
        facts = self.rng.choice(self.repeated)
        limit = SMALL if self.rng.random() < SMALL_SHARE or (self.largest, self.largest) not in facts else self.largest
        if kind < 0.5:
            return self.whole_tables(facts, limit)
        if kind < 0.9:
            return self.mixed_facts(facts, limit)
        return self.in_several_writings(limit)

    def whole_tables(self, facts: Facts, limit: int) -> str:
        numbers = self.rng.sample(range(1, limit + 1), self.rng.randint(2, 5))
        title = self.rng.choice(TITLES)
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

    def mixed_facts(self, facts: Facts, limit: int) -> str:
        title = self.rng.choice(LISTS)
        separator = self.rng.choice(("\n", "\n", ", "))
        random = self.rng.random
        rows = [facts[1 + int(random() * limit), 1 + int(random() * limit)] for _ in range(self.rng.randint(10, 40))]
        return (title + "\n" if title else "") + separator.join(rows)

    def in_several_writings(self, limit: int) -> str:
        lines = []
        for _ in range(self.rng.randint(3, 8)):
            a, b = self.rng.randint(1, limit), self.rng.randint(1, limit)
            written = [facts[a, b] for facts in self.writings if (a, b) in facts]
            lines.append("; ".join(self.rng.sample(written, self.rng.randint(3, 5))))
        return "\n".join(lines)
