"""What the probes keep for themselves: operand pairs, word problems and expressions that no training text may hold.

    from mulfact.data_builders.contamination.held_out import pair_is_held_out
    pair_is_held_out(47, 6)

A decision is a pure function of the text (BLAKE2b, never Python's salted hash), so that every stage decides alike
without a shared list. Products up to 20 x 20 are never held out: a probe of the tables asks what training has shown.
"""

from functools import lru_cache
from hashlib import blake2b

ALWAYS_TRAINED = 20  # both operands at most so large: the tables, which training text must hold in full
PAIR_SHARE = 0.10
PROBLEM_SHARE = 0.05
EXPRESSION_SHARE = 0.10

PLAIN_SIGNS = str.maketrans({"×": "*", "·": "*", "x": "*", "÷": "/", " ": None})  # how an expression is compared


@lru_cache(maxsize=1 << 17)
def pair_is_held_out(a: int, b: int) -> bool:
    """Return whether the product of a and b, in either order, is kept for the probes.

    A division shows a product as well: for n / d ask about the pair (quotient, divisor).
    """
    if a > b:
        a, b = b, a
    return b > ALWAYS_TRAINED and _falls_below(f"pair {a}x{b}", PAIR_SHARE)


def problem_is_held_out(question: str) -> bool:
    """Return whether a word problem is kept for the probes; upper and lower case and spacing make no difference."""
    return _falls_below("problem " + " ".join(question.lower().split()), PROBLEM_SHARE)


def expression_is_held_out(expression: str) -> bool:
    """Return whether an expression of several operations, such as 3+4*5, is kept for the probes; spacing is nothing."""
    return _falls_below("expression " + expression.translate(PLAIN_SIGNS), EXPRESSION_SHARE)


def _falls_below(text: str, share: float) -> bool:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") < share * 2**64
