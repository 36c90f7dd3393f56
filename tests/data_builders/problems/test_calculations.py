"""What a gold solution calculates, in every form in which the sets write it."""

import json
from pathlib import Path

import pytest

from mulfact.data_builders.problems.calculations import calculation_of


@pytest.mark.parametrize(
    ("expression", "operations", "facts"),
    [
        ("9*6", ("multiply",), ((6, 9),)),
        ("12*15", ("multiply",), ((12, 15),)),
        ("21*3", ("multiply",), ()),
        ("(3+4)*5", ("add", "multiply"), ()),
        ("( 8.0 * 2.0 )", ("multiply",), ((2, 8),)),  # SVAMP
        ("X=((32.0+42.0)-35.0)", ("add", "subtract"), ()),  # MultiArith
        ("7-9=-2", ("subtract",), ()),  # a sign of a number is no operation
        ("3*4=<<3*4=12>>12, then <<12/2=6>>6 and 5+5 unsaid", ("multiply", "divide"), ((3, 4),)),
        ("She has <<16*9=144>>144 and <<2.05*4=8.2>>8.2", ("multiply",), ((9, 16),)),
        ("no number", (), ()),
    ],
)
def test_a_calculation(expression: str, operations: tuple[str, ...], facts: tuple[tuple[int, int], ...]) -> None:
    found = calculation_of(expression)
    assert (found.operations, found.facts) == (operations, facts)


def test_312_items_of_gsm8k_hold_a_fact(data_dir: Path, real_data: bool) -> None:
    lines = (data_dir / "gsm8k" / "test.jsonl").read_text().splitlines()
    facts = [calculation_of(json.loads(line)["answer"]).facts for line in lines]
    found = sum(any(second <= 9 for _, second in of_item) for of_item in facts)
    assert found == 312 if real_data else found > 0
