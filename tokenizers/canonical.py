"""The canonical text of any text: what is the same, however it was spelled and whichever arm reads it.

    from mulfact.tokenizers.canonical import canonical_text
    canonical_text("Six times nine is fifty-four; 12 × 7")   # "6*9=54; 12*7"

A tokenizer that forgets how a fact was spelled never pays for the spelling, so losses of two arms can be compared on
canonical text alone. Every arm of the recipes, larger tables among them, writes it exactly: decoding its ids gives it
back. Arms of the user's own may not, and `keeps_canonical_text` tells which.
"""

from functools import cache

from mulfact.tokenizers.facts import LARGEST_OPERAND, FactSettings
from mulfact.tokenizers.rewrite import Rewriter


def canonical_text(text: str) -> str:
    """Return `text` with each fact that any arm of the recipes reads as `6*9`, each whole true equation as `6*9=54`."""
    return _rewriter().canonical(text)


def keeps_canonical_text(settings: FactSettings) -> bool:
    """Whether an arm gives every canonical text back as it is, so that losses on it are the arm's own.

    Canonical order does not (`9*6` becomes `6*9`), nor does a list of tokens that are read from several spellings.
    """
    return not settings.canonical_order and all(fact.patterns in ((), (fact.text,)) for fact in settings.tokens())


@cache
def _rewriter() -> Rewriter:
    """Return the rewriter of all that the arms read: an equation where there is one, else its operands."""
    return Rewriter(*(FactSettings(mode, LARGEST_OPERAND) for mode in ("strict", "weak")))
