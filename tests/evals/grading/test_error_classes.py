"""Wrong answers by cause."""

import pytest

from mulfact.evals.grading.error_classes import classify_error


@pytest.mark.parametrize(
    ("text", "truncated", "expected"),
    [
        (" 6*9=<<6*9=54>>54\n#### 54", False, None),
        (" 6*9=<<6*9=56>>56\n#### 56", False, "arithmetic"),
        (" 6*9=<<6*9=56>>56\n#### 57", False, "reasoning"),  # the answer is not what the chain ends at
        (" 5*9=<<5*9=44>>44. 44+9=<<44+9=53>>53\n#### 53", False, "arithmetic"),  # 45 + 9
        (" 7*9=<<7*9=54>>53\n#### 53", False, "reasoning"),  # a false equation in a wrong chain
        (" 12/5=<<12/5=5>>5\n#### 5", False, "reasoning"),
        (" 6+9=<<6+9=15>>15\n#### 15", False, "reasoning"),
        (" 6*9=54\n#### 15\n\nQuestion: What is 6*9=15?", False, "reasoning"),  # what follows is not read
        (" #### 15", False, "reasoning"),
        (" #### 54.", False, "format"),  # the right number in another form
        (" #### 54.00", False, "format"),
        (" #### .", False, "format"),
        (" #### 5.4.1", False, "format"),
        (" 6*9=54", False, "format"),
        (" 6*9=5", True, "truncated"),
        ("", False, "format"),
        (" 6+9=15\n#### 15 and on and on", True, "reasoning"),  # the answer stood before the cut
    ],
)
def test_classes(text, truncated, expected):
    assert classify_error(text, "54", truncated) == expected


def test_calculations():
    """Where nothing but a product is asked, a wrong number is an arithmetic slip."""
    assert classify_error(" #### 56", "54", False, calculation=True) == "arithmetic"
    assert classify_error("56", "54", False, rule="number", calculation=True) == "arithmetic"
    assert classify_error("fifty", "54", False, rule="number", calculation=True) == "format"
    assert classify_error("54", "54", False, rule="number", calculation=True) is None
