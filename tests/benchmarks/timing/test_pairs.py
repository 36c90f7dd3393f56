"""Timing in turn: a machine that slows down slows both, and the ratio stays."""

import pytest

from mulfact.benchmarks.timing.pairs import time_pairs


class Machine:
    """A clock that the calls move on, slower from turn to turn."""

    def __init__(self) -> None:
        self.now, self.load, self.calls = 0.0, 1.0, []

    def call(self, name: str, seconds: float) -> None:
        self.calls.append(name)
        self.now += seconds * self.load
        self.load *= 1.5 if name == "reference" else 1.0


@pytest.mark.parametrize("in_a_row", [1, 4])
def test_the_ratio_is_that_of_one_turn(in_a_row: int) -> None:
    machine = Machine()
    pair = time_pairs(
        lambda: machine.call("ours", 2.0), lambda: machine.call("slow", 3.0), 5, lambda: machine.now, 1, in_a_row
    )
    assert pair.ratio == pair.least == pair.most == pytest.approx(1.5)
    assert (pair.seconds, pair.reference_seconds) == pytest.approx((2.0, 3.0))
    assert machine.calls == ["ours", "slow", *(["ours"] * in_a_row + ["slow"] * in_a_row) * 5]


def test_a_machine_that_slows_down_changes_no_ratio_by_more_than_a_turn() -> None:
    machine = Machine()
    pair = time_pairs(lambda: machine.call("ours", 2.0), lambda: machine.call("reference", 3.0), 5, lambda: machine.now)
    assert pair.ratio == pytest.approx(1.5)
    assert pair.seconds > 10  # while the seconds do
