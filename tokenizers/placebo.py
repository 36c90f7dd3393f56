"""The placebo arm's tokens: as many as there are facts, as frequent, for pairs of common words instead of products.

It separates "facts as tokens" from "any extra tokens and any compression". For each fact the pair of words is taken
whose count in the run's own corpus is nearest to the fact's. The space in front of a pair belongs to its token: left
outside, it would be a token of its own, and nothing would be compressed. No word begins one pair and ends another, so
the pairs never overlap and each is rewritten wherever it was counted.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from mulfact.errors import UserError
from mulfact.tokenizers.custom import WORD
from mulfact.tokenizers.facts import FactSettings, FactToken
from mulfact.tokenizers.patterns.contexts import NUMBER_WORDS
from mulfact.tokenizers.rewrite import Rewriter

PAIR = re.compile(f"(?<= )([a-z]{{2,}}) (?=([a-z]{{2,}})(?!{WORD}))")
ARITHMETIC = set(
    f"{NUMBER_WORDS}|is|are|equal|equals|makes|times|multiply|multiplied|product|plus|add|added|sum|total|minus|subtract|"
    "difference|divide|divided|by|over|per|half|twice|double|triple|more|less|than".split("|")
)


@dataclass(frozen=True)
class Pair:
    """A placebo token and the fact that it stands in for, with how often each occurs in the texts."""

    token: FactToken
    count: int
    fact: str
    fact_count: int


def choose_pairs(texts: Iterable[str], settings: FactSettings) -> list[Pair]:
    """Return a pair of words for each fact that has a token in the weak arm of the same table, counted in `texts`.

    Raises UserError when the texts have too few different pairs.
    """
    table = settings.replaced()
    rewriter = Rewriter(table)
    facts, pairs = Counter[str](), Counter[tuple[str, str]]()
    for text in texts:
        facts.update(rewriter.count(text))
        pairs.update(PAIR.findall(text))
    free = {pair: n for pair, n in pairs.items() if pair[0] != pair[1] and ARITHMETIC.isdisjoint(pair)}
    chosen: list[Pair] = []
    for fact in sorted(table.tokens(), key=lambda fact: (-facts[fact.token], fact.token)):
        if not free:
            raise UserError(
                f"the corpus has word pairs for {len(chosen)} of {len(table.tokens())} placebo tokens: use "
                f"a larger or more varied corpus, or leave the placebo arm out"
            )
        wanted = facts[fact.token]
        first, second = min(free, key=lambda pair: (abs(math.log((free[pair] + 1) / (wanted + 1))), pair))
        text = f" {first} {second}"
        token = FactToken(f"<PAIR_{first.upper()}_{second.upper()}>", text, None, (text,))
        chosen.append(Pair(token, free.pop((first, second)), fact.token, wanted))
        free = {pair: n for pair, n in free.items() if pair[0] != second and pair[1] != first}
    return chosen
