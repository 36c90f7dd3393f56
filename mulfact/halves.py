"""Pairs of arms that halve another arm's tokens: what they are called, what they change, which runs they make.

    runs_of("mulfact", 2)      # mulfact_half0a and mulfact_half0b, seed 0; mulfact_half1a and mulfact_half1b, seed 1

Pair n holds the half of the tokens that n draws (a) and the others (b). Its two runs share the seed n, so they read the
same text from the same initial weights. There is no file for such an arm: recipes/arms/ needs one for the whole alone.
"""

import re
from typing import Any

HALF = re.compile(r"(?P<arm>.+)_half(?P<pair>0|[1-9]\d*)(?P<side>[ab])")
SHARE = 0.5


def half_names(arm: str, pair: int) -> tuple[str, str]:
    """Return the two arms of a pair: the half that it draws, and the other one."""
    return f"{arm}_half{pair}a", f"{arm}_half{pair}b"


def runs_of(arm: str, pairs: int) -> list[tuple[str, int]]:
    """Return condition and seed of every run of the first `pairs` pairs, a pair's two behind each other."""
    return [(name, pair) for pair in range(pairs) for name in half_names(arm, pair)]


def half_overlay(name: str) -> dict[str, Any] | None:
    """Return what the arm `name` changes in the arm that it halves; None where the name is not that of a half."""
    match = HALF.fullmatch(name)
    if match is None:
        return None
    subset = {"share": SHARE, "seed": int(match["pair"]), "complement": match["side"] == "b"}
    return {"extends": match["arm"], "tokenizer": {"subset": subset}}
