"""The canonical text of any text: what is the same, however it was spelled and whichever arm reads it.

    from mulfact.tokenizers.canonical import canonical_text
    canonical_text("Six times nine is fifty-four; 12 × 7; 3 plus 4")   # "6*9=54; 12*7; 3+4"

A tokenizer that forgets how a fact was spelled never pays for the spelling, so losses of two arms can be compared on
canonical text alone. Every arm of the recipes, larger tables among them, writes it exactly: decoding its ids gives it
back. Arms of the user's own may not, and `keeps_canonical_text` tells which.
"""

from functools import cache

from mulfact.tokenizers.facts import LARGEST_OPERAND, OPERATIONS, FactSettings
from mulfact.tokenizers.rewrite import Rewriter


def canonical_text(text: str) -> str:
    """Return `text` with products and sums of 1 to 20 as `6*9` and `3+4`, and whole true equations as `6*9=54`."""
    return _rewriter().canonical(text)


def keeps_canonical_text(settings: FactSettings) -> bool:
    """Whether an arm gives every canonical text back as it is, so that losses on it are the arm's own.

    Canonical order does not (`9*6` becomes `6*9`), nor does a list of tokens that are read from several spellings.
    """
    return not settings.canonical_order and all(fact.patterns in ((), (fact.text,)) for fact in settings.facts())


@cache
def _rewriter() -> Rewriter:
    """Return the rewriter of all that the arms read: an equation where there is one, else its operands."""
    return Rewriter(
        *(FactSettings(mode, LARGEST_OPERAND, operation=kind) for kind in OPERATIONS for mode in ("strict", "weak"))
    )
