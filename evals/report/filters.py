"""The Jinja2 environment of reports and cards, and numbers as text, which are its filters.

make_environment().from_string("{{ 0.1234 | percent }}").render()    # 12.3
"""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from mulfact.evals.comparison.conclusion import name_of, points, worth

TEMPLATES = Path(__file__).resolve().parent / "templates"
MINUS = "−"
BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def make_environment() -> Environment:
    """Return the Jinja2 environment: HTML is escaped, unknown names are errors."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (
        percent, points, significant, signed, signed_percent, worth, signed_bits, interval_percent, interval_points,
        p_value, number, quantity, describe,
        relative, duration, half_known, mean, name_of, breakable,
    )  # fmt: skip
    environment.filters.update({function.__name__: function for function in filters})
    return environment


def percent(share: float | None) -> str:
    """Return a share as a percentage without its sign: 0.1234 as 12.3."""
    return "–" if share is None else f"{100 * share:.1f}"


def significant(value: float) -> str:
    """Return a number to four significant digits."""
    return f"{value:.4g}"


def signed(value: float | None) -> str:
    """Return a difference in its own unit, with its sign."""
    return "–" if value is None else f"{value:+.4g}".replace("-", MINUS)


def signed_bits(value: float | None) -> str:
    """Return a difference in bits, with its sign; where an interval has no end there is none to show."""
    return "∞" if value is None else f"{value:+.3f}".replace("-", MINUS)


def half_known(row: dict[str, Any]) -> float | None:
    """Return the tokens after which half of the facts in a row of `learning.known` were known; None: never."""
    return next((tokens for tokens, share in zip(row["tokens"], row["unknown"], strict=True) if share <= 0.5), None)


def interval_percent(interval: list[float]) -> str:
    return f"{percent(interval[0])}–{percent(interval[1])}"


def interval_points(interval: list[float]) -> str:
    return f"{points(interval[0])}, {points(interval[1])}"


def signed_percent(share: float) -> str:
    """Return a share as a percentage with its sign: 0.1 as +10%."""
    return f"{100 * share:+.3g}%".replace("-", MINUS)


def p_value(value: float | None) -> str:
    """Return a p-value to two digits, small ones as a bound."""
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a count in full with separators, a large one as a power of ten, a fraction to `digits` decimals."""
    if value is None:
        return "–"
    if abs(value) >= 1e10:
        mantissa, exponent = f"{value:.3e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    if float(value).is_integer():
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if abs(value) >= 0.01 else f"{value:.{digits}g}"


def quantity(value: float | None, field: str) -> str:
    """Return a field of the ledger in the unit in which people read it: bytes as 2.4 GB, seconds as 12 min."""
    if value is None:
        return "–"
    if field.endswith("seconds"):
        return duration(value)
    if "bytes" in field:
        size, unit = next((size, unit) for size, unit in BYTES if abs(value) >= size or size == 1)
        return f"{value / size:.3g} {unit}"
    return number(value)


def describe(value: Any) -> str:
    """Return any value of a ledger or provenance as a line of text."""
    if isinstance(value, dict | list | tuple) and not value:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {describe(below)}" for key, below in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(describe(below) for below in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return "–" if value is None else str(value)


def mean(values: list[float | None]) -> float | None:
    """Return the mean of the values that exist."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def relative(value: float | None, reference: float | None) -> str:
    """Return by how many percent `value` is above `reference`, with its sign."""
    if value is None or not reference:
        return ""
    return f"{points(value / reference - 1)}%"


def duration(seconds: float | None) -> str:
    """Return a time in the unit in which it is read."""
    if seconds is None:
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def breakable(name: str) -> Markup:
    """Return a name with places where a line may break, behind each underscore."""
    return escape(name).replace("_", Markup("_<wbr>"))
