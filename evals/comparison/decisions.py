"""Whether a difference counts by the protocol's rule, and how it is written."""

from collections.abc import Mapping
from typing import Any

Results = Mapping[str, Any]


def decided(entry: Mapping[str, Any], results: Results) -> bool:
    """Return whether the protocol's rule finds a difference; an exploratory comparison decides nothing.

    Nor does an outcome at its floor or ceiling.
    """
    alpha, adjusted = 1 - results["confidence_level"], entry["p_adjusted"]
    if results["exploratory"] or entry["limit"] or adjusted is None:
        return False
    return excludes_zero(entry) and adjusted < alpha


def excludes_zero(entry: Mapping[str, Any]) -> bool:
    low, high = entry["interval"]
    return low > 0 or high < 0


def points(difference: float | None) -> str:
    """Return a difference of shares in percentage points, with its sign: -0.012 as −1.2."""
    if difference is None:
        return "–"
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "−")
