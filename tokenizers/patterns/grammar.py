"""The grammar of facts: where they are in a text, and how each is written as its token. One grammar, two engines.

The engines replace the operator of each fact by MARK, which turns `6 × 9` into `6▮9` (marks.py); a short list of
`pieces` then spells the token: `6▮` becomes `<MUL_6_▮` and `▮9` becomes `9>`, 18 replacements for 81 facts.

rewrite.py runs the patterns with the `regex` module and tokenizer.json runs them with Oniguruma, so they keep to what
both read alike: explicit characters and ranges, no \\b, \\s, \\d, \\w, anchors, flags or atomic groups.
"""

from dataclasses import dataclass

from mulfact.tokenizers.custom import WORD, is_word
from mulfact.tokenizers.facts import FactSettings, FactToken
from mulfact.tokenizers.patterns.contexts import EQUALS
from mulfact.tokenizers.patterns.marks import CUE_CONTEXT, MARK, RECITED, Mark, ascii_cue_context, fact_marks
from mulfact.tokenizers.patterns.spellings import (
    RECITED_NUMBERS,
    Spellings,
    alternation,
    any_of,
    escape,
    operand_spellings,
    result_spellings,
)

# Private-use characters. A MARK that is already in the text is escaped before anything else and restored at the end.
ESCAPED_MARK = "\ue001\ue000\ue001"
RESULT = "\ue000\ue002"  # before the product or sum, while a strict token is being spelled
OPEN, CLOSE = "\ue003", "\ue004"  # around a literal token name, so that only what the grammar found is that token


@dataclass(frozen=True)
class Grammar:
    """All that the engines need: patterns to mark, then pieces (pattern, replacement) to spell the tokens, in order."""

    marks: tuple[Mark, ...]
    pieces: tuple[tuple[str, str], ...]
    written: dict[str, FactToken]  # what the pieces spell -> the token
    cue_context: str = ""  # what stands around a cue of one character
    ascii_cue_context: str = ""  # the same in ASCII text, where more can be said


def build_grammar(settings: FactSettings) -> Grammar:
    """Return the grammar of an arm; without facts it is empty."""
    if not settings.calculates:
        return custom_grammar(settings)
    written = {spell(fact, settings): fact for fact in settings.facts()}
    uniform = len(settings.tokens()) in (0, len(written)) and not settings.canonical_order
    pieces = operand_pieces(settings) if uniform else pair_pieces(settings)
    return Grammar(tuple(fact_marks(settings)), tuple(pieces), written, CUE_CONTEXT, ascii_cue_context(settings))


def spell(fact: FactToken, settings: FactSettings) -> str:
    """Return what the pieces write for a fact: its token's name, between private marks when that is ordinary text.

    A fact without a token is written as its text.
    """
    if not settings.has_token(fact):
        return fact.text
    return f"{OPEN}{fact.token}{CLOSE}" if settings.token_names == "literal" or fact.token == fact.text else fact.token


def operand_pieces(settings: FactSettings) -> list[tuple[str, str]]:
    """Return the pieces that write every fact alike, operand by operand: 18 for 81 facts, 36 or more with results.

    Large numbers come first, so that 6▮ is not taken out of 16▮, nor ▮seven out of ▮seventeen.
    """
    if not settings.tokens():
        head, star, sign, tail = "", settings.kind.sign, "=", ""
    elif settings.token_names == "literal":
        head, star, sign, tail = OPEN, settings.kind.sign, "=", CLOSE
    else:
        head, star, sign, tail = f"<{settings.kind.prefix}_", "_", "_", ">"
    operands = operand_spellings(settings)
    downwards = sorted(operands, reverse=True)
    pieces = [(f"{any_of({n: operands[n]}, capitals=True)}{MARK}", f"{head}{n}{star}{MARK}") for n in downwards]
    if settings.mode == "weak":
        return pieces + [(second(n, operands), f"{n}{tail}") for n in downwards]
    results = result_spellings(settings)
    pieces += [(f"{second(n, operands)}(?:{EQUALS})?", f"{n}{sign}{RESULT}") for n in downwards]
    return pieces + [(f"{RESULT}{any_of({c: results[c]})}", f"{c}{tail}") for c in sorted(results, reverse=True)]


def second(number: int, operands: Spellings) -> str:
    """Return a pattern for a mark and the second operand."""
    recited = f"{RECITED}?" if number in RECITED_NUMBERS else ""
    return f"{MARK}{recited}{any_of({number: operands[number]})}"


def pair_pieces(settings: FactSettings) -> list[tuple[str, str]]:
    """Return the pieces that write a fact in one go: in canonical order, and where not every fact has a token."""
    operands, results = operand_spellings(settings), result_spellings(settings)

    def pair(a: int, b: int) -> str:
        return f"{any_of({a: operands[a]}, capitals=True)}{second(b, operands)}"

    pieces = []
    for a, b in sorted(settings.pairs(), key=lambda ab: (max(ab), min(ab)), reverse=True):
        result = f"(?:{EQUALS})?{any_of({0: results[settings.kind.result(a, b)]})}" if settings.mode == "strict" else ""
        orders = ((a, b), (b, a)) if settings.canonical_order else ((a, b),)
        pairs = alternation(dict.fromkeys(pair(*order) for order in orders))
        pieces.append((f"{pairs}{result}", spell(settings.fact(a, b), settings)))
    return pieces


def custom_grammar(settings: FactSettings) -> Grammar:
    """Return the grammar of literal words: each pattern counts where it is not a part of a longer word."""
    patterns = [(pattern, fact) for fact in settings.facts() for pattern in fact.patterns]
    cases = [
        (f"(?<!{WORD})" if is_word(pattern[0]) else "")
        + f"(?=({escape(pattern)})"
        + (f"(?!{WORD}))" if is_word(pattern[-1]) else ")")
        for pattern, _ in patterns
    ]
    marks = (Mark(alternation(cases), tuple(pattern for pattern, _ in patterns)),) if patterns else ()
    # The longest first: "do they" would otherwise be spelled as the token of "do the", with a y behind it.
    longest_first = sorted(patterns, key=lambda entry: -len(entry[0]))
    pieces = tuple((MARK + escape(pattern), spell(fact, settings)) for pattern, fact in longest_first)
    return Grammar(marks, pieces, {spell(fact, settings): fact for fact in settings.facts()})
