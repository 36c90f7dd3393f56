"""The grammar of facts: where they are in a text, and how each is written as its token. One grammar, two engines.

The engines replace the operator of each fact by MARK, which turns `6 × 9` into `6▮9` (marks.py); a short list of
`pieces` then spells the token: `6▮` becomes `<MUL_6_▮` and `▮9` becomes `9>`, 18 replacements for 81 facts.

rewrite.py runs the patterns with the `regex` module and tokenizer.json runs them with Oniguruma, so they keep to what
both read alike: explicit characters and ranges, no \\b, \\s, \\d, \\w, anchors, flags or atomic groups.
"""

from dataclasses import dataclass

from mulfact.tokenizers.contexts import EQUALS
from mulfact.tokenizers.custom import WORD, is_word
from mulfact.tokenizers.facts import FactSettings, FactToken
from mulfact.tokenizers.marks import CUE_CONTEXT, MARK, RECITED, Mark, ascii_cue_context, product_marks
from mulfact.tokenizers.spellings import (
    RECITED_NUMBERS,
    Spellings,
    alternation,
    any_of,
    escape,
    operand_spellings,
    product_spellings,
)

# Private-use characters. A MARK that is already in the text is escaped before anything else and restored at the end.
ESCAPED_MARK = "\ue001\ue000\ue001"
PRODUCT = "\ue000\ue002"  # before the product, while a strict token is being spelled
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
    """Return the grammar of an arm; without fact tokens it is empty."""
    if not settings.multiplies:
        return custom_grammar(settings.tokens())
    written = {spell(fact, settings.token_names): fact for fact in settings.tokens()}
    pieces = pair_pieces(settings) if settings.canonical_order else operand_pieces(settings)
    marks = tuple(product_marks(settings))
    return Grammar(marks, tuple(pieces), written, CUE_CONTEXT, ascii_cue_context(settings))


def spell(fact: FactToken, token_names: str = "structured") -> str:
    """Return what the pieces write for a token: its name, between private marks when the name is ordinary text."""
    return f"{OPEN}{fact.token}{CLOSE}" if token_names == "literal" or fact.token == fact.text else fact.token


def operand_pieces(settings: FactSettings) -> list[tuple[str, str]]:
    """Return the pieces that write a token operand by operand: 18 for 81 facts, 54 with their products.

    Large numbers come first, so that 6▮ is not taken out of 16▮, nor ▮seven out of ▮seventeen.
    """
    literal = settings.token_names == "literal"
    head, star, sign, tail = (OPEN, "*", "=", CLOSE) if literal else ("<MUL_", "_", "_", ">")
    operands = operand_spellings(settings)
    downwards = sorted(operands, reverse=True)
    pieces = [(f"{any_of({n: operands[n]}, capitals=True)}{MARK}", f"{head}{n}{star}{MARK}") for n in downwards]
    if settings.mode == "weak":
        return pieces + [(second(n, operands), f"{n}{tail}") for n in downwards]
    products = product_spellings(settings)
    pieces += [(f"{second(n, operands)}(?:{EQUALS})?", f"{n}{sign}{PRODUCT}") for n in downwards]
    return pieces + [(f"{PRODUCT}{any_of({p: products[p]})}", f"{p}{tail}") for p in sorted(products, reverse=True)]


def second(number: int, operands: Spellings) -> str:
    """Return a pattern for a mark and the second operand."""
    recited = f"{RECITED}?" if number in RECITED_NUMBERS else ""
    return f"{MARK}{recited}{any_of({number: operands[number]})}"


def pair_pieces(settings: FactSettings) -> list[tuple[str, str]]:
    """Return the pieces that write a token in one go, for canonical order, where 6▮9 and 9▮6 are the same token."""
    operands, products = operand_spellings(settings), product_spellings(settings)

    def pair(a: int, b: int) -> str:
        return f"{any_of({a: operands[a]}, capitals=True)}{second(b, operands)}"

    pieces = []
    for a, b in sorted(settings.pairs(), key=lambda ab: (max(ab), min(ab)), reverse=True):
        product = f"(?:{EQUALS})?{any_of({a * b: products[a * b]})}" if settings.mode == "strict" else ""
        pairs = alternation(dict.fromkeys((pair(a, b), pair(b, a))))
        pieces.append((f"{pairs}{product}", spell(settings.product_token(a, b), settings.token_names)))
    return pieces


def custom_grammar(tokens: list[FactToken]) -> Grammar:
    """Return the grammar of literal words: each pattern counts where it is not a part of a longer word."""
    patterns = [(pattern, fact) for fact in tokens for pattern in fact.patterns]
    cases = [
        (f"(?<!{WORD})" if is_word(pattern[0]) else "")
        + f"(?=({escape(pattern)})"
        + (f"(?!{WORD}))" if is_word(pattern[-1]) else ")")
        for pattern, _ in patterns
    ]
    marks = (Mark(alternation(cases), tuple(pattern for pattern, _ in patterns)),) if patterns else ()
    pieces = tuple((MARK + escape(pattern), spell(fact)) for pattern, fact in patterns)
    return Grammar(marks, pieces, {spell(fact): fact for fact in tokens})
