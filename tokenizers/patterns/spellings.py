"""How operands and products may be written, as pieces of patterns."""

from collections.abc import Iterable

from mulfact.tokenizers.facts import FactSettings
from mulfact.tokenizers.patterns.numerals import chinese_numerals, number_words

Spellings = dict[int, list[str]]  # of each number, as plain text

RECITED_NUMBERS = range(1, 10)  # 六九五十四: the recited table ends at nine


def operand_spellings(settings: FactSettings, forms: Iterable[str] | None = None) -> Spellings:
    """Return the ways to write each operand: digits, and words and numerals where these forms are switched on."""
    forms = settings.surface_forms if forms is None else forms
    return {
        n: [str(n)] + number_words(n)[:1] * ("words" in forms) + chinese_numerals(n)[:1] * ("chinese" in forms)
        for n in range(1, settings.max_operand + 1)
    }


def result_spellings(settings: FactSettings, forms: Iterable[str] | None = None) -> Spellings:
    """Return the ways to write each product or sum."""
    forms = settings.surface_forms if forms is None else forms
    numbers = range(1, settings.max_operand + 1)
    return {
        c: [str(c)] + number_words(c) * ("words" in forms) + chinese_numerals(c) * ("chinese" in forms)
        for c in sorted({settings.kind.result(a, b) for a in numbers for b in numbers})
    }


def recited_operands(settings: FactSettings) -> Spellings:
    """Return the numerals of the recited table."""
    return {n: chinese_numerals(n)[:1] for n in RECITED_NUMBERS if n <= settings.max_operand}


def recited_products(settings: FactSettings) -> Spellings:
    """Return the products as the recited table has them: 得六 below ten, 十八 or 得十八 from ten on."""
    numbers = recited_operands(settings)
    return {
        p: [f"得{s}" for s in chinese_numerals(p)] + chinese_numerals(p) * (p >= 10)
        for p in sorted({a * b for a in numbers for b in numbers})
    }


def any_of(spellings: Spellings, capitals: bool = False) -> str:
    """Return a pattern for any of the spellings of any of the numbers; with `capitals` as in_sentence has them."""
    every = {s for n in spellings for s in spellings[n]}
    if capitals:
        every |= {s.capitalize() for s in every if is_english(s)}
    return tree(every)


def tree(texts: Iterable[str]) -> str:
    """Return a pattern for any of `texts`, the longest that fits: by beginnings, so that few branches are tried."""
    rests: dict[str, set[str]] = {}
    for text in sorted(texts):
        rests.setdefault(text[:1], set()).add(text[1:])
    ends = [head for head, rest in rests.items() if head and rest == {""}]
    branches = [head + tree(rest) for head, rest in rests.items() if head and rest != {""}]
    branches += [f"[{''.join(ends)}]"] if len(ends) > 1 else ends
    pattern = branches[0] if len(branches) == 1 and "" not in rests else alternation(branches)
    return pattern + "?" if "" in rests else pattern


def alternation(patterns: Iterable[str]) -> str:
    """Return a pattern for any of `patterns`."""
    return f"(?:{'|'.join(patterns)})"


def in_sentence(word: str) -> str:
    """Return a pattern for a number that may stand at the start of a sentence: [Ss]ix."""
    return f"[{word[0].upper()}{word[0]}]{word[1:]}" if is_english(word) else word


def is_english(word: str) -> bool:
    return word[0].isascii() and word[0].isalpha()


def escape(text: str) -> str:
    """Return a pattern for `text` itself, in the syntax that both engines share."""
    return "".join(f"\\{c}" if c in r"\.^$*+?{}[]()|-#&~" else c for c in text)
