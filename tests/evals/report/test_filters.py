"""Numbers as text: what reports and cards show of a share, a difference, a count, a time."""

from typing import Any

import pytest

from mulfact.evals.report.filters import (
    describe,
    duration,
    make_environment,
    number,
    p_value,
    percent,
    points,
    relative,
    signed,
)  # fmt: skip


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (percent, 0.12345, "12.3"), (percent, None, "–"),
        (points, 0.012, "+1.2"), (points, -0.012, "−1.2"), (points, -0.0001, "0.0"),
        (p_value, 0.0004, "<0.001"), (p_value, 0.031, "0.031"), (p_value, 0.46, "0.46"),
        (number, 1_186_560, "1,186,560"), (number, 1.2e13, "1.200 × 10¹³"),
        (number, 0.25, "0.250"),
        (number, 12345.6, "12,346"), (number, None, "–"), (number, 0, "0"),
        (signed, -0.0123, "−0.0123"), (duration, 91, "91 s"), (duration, 600, "10 min"),
        (duration, 9000, "2.5 h"), (describe, {"name": "adamw", "fused": True}, "name adamw, fused yes"),
        (describe, {"gpus": []}, "gpus none"),
    ],
)  # fmt: skip
def test_a_number_as_text(function: Any, value: Any, text: str) -> None:
    assert function(value) == text


def test_a_relative_difference_needs_a_reference() -> None:
    assert relative(106, 100) == "+6.0%"
    assert relative(1, 0) == relative(None, 3) == ""


def test_a_name_may_break_behind_its_underscores_and_is_escaped() -> None:
    template = make_environment().from_string("{{ name | breakable }} {{ 0.1234 | percent }}")
    assert template.render(name="gsm8k_<cot>") == "gsm8k_<wbr>&lt;cot&gt; 12.3"
