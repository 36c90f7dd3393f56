"""Fonts that can write what a figure says: an arm may have a name in any script.

python -c "from mulfact.evals.report.fonts import families; print(families(['arm', '乘法', 'الضرب']))"
"""

import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontEntry, FontProperties, findSystemFonts, fontManager
from matplotlib.ft2font import FT2Font

FIRST = "DejaVu Sans"  # it comes with matplotlib
PLAIN = (400, "normal", "regular", "book")


def families(texts: Iterable[str]) -> list[str]:
    """Return installed font families that together have as many of the texts' characters as any can have.

    matplotlib takes each character from the first family that has it. Of several that would do, the one with the most
    of the characters is taken, then a sans-serif one, then the first by name.
    """
    wanted = {ord(character) for text in texts for character in text if unicodedata.category(character)[0] not in "CZ"}
    lacking = wanted - characters(fontManager.findfont(FontProperties(family=FIRST)))
    chosen = [FIRST]
    while lacking:
        covered = {font.name: lacking & characters(font.fname) for font in upright_fonts()}
        best = min(covered, key=lambda name: (-len(covered[name]), "Sans" not in name, name), default=None)
        if best is None or not covered[best]:
            return chosen
        chosen.append(best)
        lacking -= covered[best]
    return chosen


@cache
def upright_fonts() -> list[FontEntry]:
    """Return the installed fonts of plain weight, also those that were installed behind matplotlib's own list."""
    known = {font.fname for font in fontManager.ttflist}
    for path in findSystemFonts():
        if path not in known:
            try:
                fontManager.addfont(path)
            except (OSError, RuntimeError):  # bitmaps, or damaged
                continue
    return [
        font
        for font in fontManager.ttflist
        # "Last Resort" has a box for every character, and matplotlib takes it by itself.
        if font.style == "normal" and font.weight in PLAIN and not font.name.startswith("Last Resort")
    ]


@cache
def characters(path: str) -> frozenset[int]:
    """Return the code points that a font has; none for a file that cannot be read."""
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
