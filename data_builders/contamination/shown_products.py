"""Which calculations texts show outright, so that no probe of unseen ones asks for them.

from mulfact.data_builders.contamination.shown_products import shown_products
shown_products('47 x 6 = 282 and 282/6=47')
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mulfact.data_builders.contamination.held_out import PLAIN_SIGNS

PRODUCT = re.compile(r"(?<![0-9])([0-9]+) ?(?:[*xX×·]|times) ?\$?([0-9]+)(?![0-9])")
QUOTIENT = re.compile(r"(?<![0-9])[0-9]+ ?[/÷] ?\$?([0-9]+) ?= ?\$?([0-9]+)(?![0-9])")
MAX_DIGITS = 9


def shown_products(text: str) -> set[tuple[int, int]]:
    """Return the operands, smaller first, of every product and quotient of whole numbers in `text`.

    Generous: what stands inside a longer expression or a decimal number counts as shown.
    """
    found = PRODUCT.findall(text) + QUOTIENT.findall(text)
    return {
        (min(int(a), int(b)), max(int(a), int(b))) for a, b in found if len(a) <= MAX_DIGITS and len(b) <= MAX_DIGITS
    }


@dataclass(frozen=True)
class Shown:
    """What training texts show: their products, and their text in plain signs without spaces."""

    products: frozenset[tuple[int, int]]
    text: str

    def holds(self, expression: str) -> bool:
        """Return whether the texts hold an expression such as 3+4*5, however it is spaced."""
        return expression in self.text


def shown_in(texts: Iterable[str]) -> Shown:
    """Return what the texts show."""
    joined = "\n".join(texts)
    return Shown(frozenset(shown_products(joined)), joined.translate(PLAIN_SIGNS))
