"""What counts as a product that a text shows."""

import pytest

from mulfact.data_builders.contamination.shown_products import shown_in, shown_products


@pytest.mark.parametrize(
    "text",
    ["47*6=282", "6 * 47", "47 x $6", "47 × 6", "47·6", "47 times 6", "282/6=47", "282 ÷ 6 = 47", "<<47*6=282>>"],
)
def test_shown(text):
    assert (6, 47) in shown_products(text)


@pytest.mark.parametrize("text", ["47+6", "47 and 6", "147*6", "47*60", "282/6", "", "4*" + "7" * 5000])
def test_not_shown(text):
    assert (6, 47) not in shown_products(text)


def test_expressions_are_found_however_they_are_spaced():
    shown = shown_in(["So (3 + 4) × 5 = 35", "2 x 3 - 1"])
    assert shown.holds("(3+4)*5")
    assert shown.holds("2*3-1")
    assert not shown.holds("35+2")
    assert shown.products == {(2, 3)}
