"""Whether a reward rose: by thirds and by a line, for runs that rose, fell, stood still or are too short."""

from typing import Any

import pytest

from mulfact.evals.comparison.reward_trend import by_arm, reward_trends


def curve(rewards: list[float | None], condition: str = "facts", **fields: Any) -> dict[str, Any]:
    other = {"kl": None, "repetition": None}
    points = [{"step": 10 * step, "reward": reward, **other} for step, reward in enumerate(rewards, 1)]
    for field, values in fields.items():
        for point, value in zip(points, values, strict=True):
            point[field] = value
    return {"condition": condition, "seed": 3, "points": points}


def test_a_line_and_thirds() -> None:
    rewards = [0.1, 0.3, 0.2, 0.4, 0.3, 0.5, 0.4]
    (entry,) = reward_trends([curve(rewards, kl=[0, 0.1, None, 0.3, 0.2, 0, 0], repetition=[0.0] * 7)])
    assert (entry["condition"], entry["seed"]) == ("facts", 3)
    assert entry["first_third"] == pytest.approx(0.2)
    assert entry["last_third"] == pytest.approx(0.45)
    # Least squares by hand: sum of (x - 40)(y - mean) is 14, of (x - 40)^2 is 2800.
    assert entry["slope"] == pytest.approx(0.005)
    # The residuals' sum of squares is 0.108571 - 0.005 * 14; with five degrees of freedom t is 3.01.
    assert entry["p_value"] == pytest.approx(0.0297, abs=5e-4)
    assert (entry["largest_kl"], entry["largest_repetition"]) == (0.3, 0.0)


def test_steps_without_a_reward_are_left_out_and_few_make_no_trend() -> None:
    (long, short) = reward_trends([curve([None, 0, 1, 0, 1, 0, 1]), curve([None, 0, 1, 0, 1, 0])])
    assert long["slope"] is not None
    assert [short[key] for key in ("first_third", "last_third", "slope", "p_value", "largest_kl")] == [None] * 5


def test_an_arm_counts_the_runs_that_rose() -> None:
    up, down, flat = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.6, 0.5, 0.4, 0.3, 0.2, 0.1], [0.3] * 6
    unclear = [0.3, 0.1, 0.4, 0.2, 0.3, 0.4]
    trends = reward_trends([curve(rewards) for rewards in (up, down, flat, unclear, [0.1] * 5)])
    table = by_arm([*trends, *reward_trends([curve(up, "plain", kl=[0.5] * 6), curve([0.1], "short")])])
    assert {key: table["facts"][key] for key in ("runs", "rose", "clearly")} == {"runs": 4, "rose": 2, "clearly": 1}
    assert table["facts"]["first_third"] == pytest.approx((0.15 + 0.55 + 0.3 + 0.2) / 4)
    assert table["plain"]["largest_kl"] == 0.5
    assert table["plain"]["largest_repetition"] is None
    assert "short" not in table
