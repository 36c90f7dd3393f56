"""The single-pass rewriter: plain text to text in which each fact is the name of its token.

    from mulfact.tokenizers.rewrite import reference_rewriter
    reference_rewriter().rewrite("Each box has 6 × 9 = 54 pens")   # "Each box has <MUL_6_9> = 54 pens"

It does what the normalizer inside tokenizer.json does, from the same grammar and several times faster: one cheap search
finds the places where an operator stands, and only there the grammar's patterns are tried.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import regex

from mulfact.tokenizers.facts import FactSettings, FactToken
from mulfact.tokenizers.patterns.contexts import SPACES
from mulfact.tokenizers.patterns.grammar import Grammar, build_grammar
from mulfact.tokenizers.patterns.marks import Mark
from mulfact.tokenizers.patterns.spellings import alternation


@dataclass(frozen=True)
class Match:
    """A fact in a text: `text[start:end]` stands for `fact` and is rewritten as `written`."""

    start: int
    end: int
    fact: FactToken
    written: str  # the token's name, or for a literal name that name between private marks

    @property
    def token(self) -> str:
        return self.fact.token


class Rewriter:
    """Finds and replaces the facts of one arm in plain text; of several arms, the first that reads a place has it."""

    def __init__(self, *arms: FactSettings) -> None:
        grammars = [build_grammar(settings) for settings in arms]
        self._context = _either(grammar.cue_context for grammar in grammars)
        self._ascii_context = _either(grammar.ascii_cue_context for grammar in grammars)
        self._readers: dict[str, list[Reader]] = {}
        for grammar in grammars:
            speller = Speller(grammar)
            for mark in grammar.marks:
                for cue in mark.cues:
                    self._readers.setdefault(cue, []).append(Reader(mark, speller))
        self._words = [cue for cue in self._readers if len(cue) > 1]
        self._characters = "".join(cue for cue in self._readers if len(cue) == 1)
        self._ascii_characters = [cue for cue in self._characters if cue.isascii()]
        self._cues: dict[tuple[str, bool, bool], re.Pattern[str] | None] = {}

    def matches(self, text: str) -> Iterator[Match]:
        """Yield the facts in `text` from left to right; they never overlap."""
        for start, end, written, fact in self._spans(text):
            yield Match(start, end, fact, written)

    def rewrite(self, text: str) -> str:
        """Return `text` with each fact replaced by what tokenizer.json's normalizer writes for it."""
        parts: list[str] = []
        done = 0
        for start, end, written, _ in self._spans(text):
            parts += (text[done:start], written)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def canonical(self, text: str) -> str:
        """Return the canonical rendering of `text`: what decoding its tokens gives."""
        parts: list[str] = []
        done = 0
        for start, end, _, fact in self._spans(text):
            parts += (text[done:start], fact.text)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def count(self, text: str) -> Counter[str]:
        """Return how often each fact occurs, by the name of its token."""
        return Counter(fact.token for _, _, _, fact in self._spans(text))

    def _spans(self, text: str) -> Iterator[tuple[int, int, str, FactToken]]:
        """Yield start, end and replacement of each fact, and the fact."""
        pattern, position = self._cue(text), 0
        while pattern is not None and (cue := pattern.search(text, position)):
            position = cue.start() + 1
            for reader in self._readers[cue[0]]:
                mark = reader.mark
                start = cue.start() + mark.offset
                if mark.spaced and start and text[start - 1] in SPACES:
                    start -= 1
                found = reader.pattern.match(text, start)
                if found is not None:
                    yield (span := reader.speller.read(found, mark.replacement))
                    position = span[1]
                    break

    def _cue(self, text: str) -> re.Pattern[str] | None:
        """Return a search for the cues that `text` may hold, None without any: the fewer, the faster it is."""
        characters, is_ascii = self._characters, text.isascii()
        if is_ascii:
            characters = "".join([cue for cue in self._ascii_characters if cue in text])
        words = [word for word in self._words if word in text]
        key = characters, is_ascii, bool(words)
        if key not in self._cues:
            context = self._ascii_context if is_ascii else self._context
            branches = [f"[{re.escape(characters)}]{context}"] * bool(characters)
            branches += map(re.escape, self._words if words else ())
            self._cues[key] = re.compile("|".join(branches)) if branches else None
        return self._cues[key]


@dataclass
class Reader:
    """A mark that may stand at a cue, and what spells the facts that it finds."""

    mark: Mark
    speller: "Speller"

    @cached_property
    def pattern(self) -> regex.Pattern[str]:
        """The mark's pattern, compiled where its cue is first met: of a large table that takes half a second."""
        return regex.compile(self.mark.pattern)


class Speller:
    """Spells what the marks of a grammar found; each spelling is put together once."""

    def __init__(self, grammar: Grammar) -> None:
        self._facts = grammar.written
        self._pieces = [(regex.compile(pattern), replacement) for pattern, replacement in grammar.pieces]
        self._spelled: dict[str, tuple[str, FactToken]] = {}

    def read(self, found: regex.Match[str], replacement: str) -> tuple[int, int, str, FactToken]:
        """Return start, end and replacement of the fact around an operator, and the fact."""
        spans = [span for span in found.regs[1:] if span[0] >= 0]
        start, end = min(spans[0][0], found.start()), spans[-1][1]
        marked = found.string[start : found.start()] + replacement + found.string[found.end() : end]
        if marked not in self._spelled:
            written = marked
            for pattern, piece in self._pieces:
                written = pattern.sub(lambda _, new=piece: new, written)
            self._spelled[marked] = written, self._facts[written]
        return start, end, *self._spelled[marked]


def _either(contexts: Iterable[str]) -> str:
    """Return what stands around a cue of any of the grammars."""
    different = list(dict.fromkeys(contexts))
    return different[0] if len(different) == 1 else alternation(different)


@cache
def reference_rewriter() -> Rewriter:
    """Return the arm-independent definition of "this text holds a fact": 1-9, weak mode, every surface form."""
    return Rewriter(FactSettings(mode="weak"))
