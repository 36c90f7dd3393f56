"""The table of what a plan can see: that of the protocol, and with the seeds' variance that was measured."""

from pathlib import Path

import pytest
from fabricated_results import fabricate

from mulfact.experiment.power import markdown, measured_seeds, power_table
from mulfact.provenance import PROTOCOL, write_json


def test_the_protocol_states_the_table() -> None:
    assert markdown(1319) in PROTOCOL.read_text()


def test_the_measured_variance_has_a_row_of_its_own(tmp_path: Path) -> None:
    results = fabricate(["baseline", "mulfact"], [0, 1, 2])
    for row in results["accuracy"]:
        row.update(mean=0.5, sd=0.05, items=1000)
    write_json(tmp_path / "results.json", results)
    measured = measured_seeds(tmp_path)
    assert measured == pytest.approx((0.5, (0.05**2 - 0.25 / 1000) ** 0.5))
    table = power_table(1000, 7, measured)
    assert [column.header for column in table.columns][2:] == ["3 seeds", "5 seeds", "7 seeds", "8 seeds", "16 seeds"]
    assert list(table.columns[1].cells)[-1] == "4.7 (measured)"


def test_without_a_report_nothing_was_measured(tmp_path: Path) -> None:
    assert measured_seeds(tmp_path) is None
    write_json(tmp_path / "results.json", fabricate(["baseline", "mulfact"], [0]))
    assert measured_seeds(tmp_path) is None
