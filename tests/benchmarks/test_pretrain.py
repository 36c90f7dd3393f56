"""The speed of pretraining: rows that are compared compute the same, and the whole loop runs on the bench's inputs."""

import sys
from pathlib import Path

import pytest

from mulfact.benchmarks import pretrain
from mulfact.benchmarks.pretrain import candidates, compare_in_turn
from mulfact.benchmarks.timing.training_steps import SHAPES, Bench, Shape, settings
from mulfact.errors import UserError
from mulfact.modeling.pretrain_arguments import PretrainArguments

MICRO = Shape(1, 2, 16, 96, 16, 2)


@pytest.fixture
def bench() -> Bench:
    return Bench(MICRO, PretrainArguments(**settings(MICRO, mixed_precision="no")))


def test_rows_start_from_the_same_weights_and_take_the_same_steps(bench: Bench) -> None:
    reference = bench.transformers_step(False)
    expected = [reference().item() for _ in range(3)]
    assert expected[-1] < expected[0]
    for name, build in candidates(bench, False).items():
        step = build()
        # transformers' own reads the labels, and predicts one token less.
        assert [step().item() for _ in range(3)] == pytest.approx(expected, rel=0.02), name


def test_a_row_that_cannot_run_here_is_told_and_takes_no_other_along(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {
        "Liger": lambda: bench.objective_step("liger_cutedsl", False),
        "chunked": lambda: bench.objective_step("chunked", False),
    }
    monkeypatch.setattr(pretrain, "candidates", lambda bench, compiled: rows)
    (found,) = compare_in_turn(bench, False, None, repeats=1)
    assert [row["name"] for row in found["rows"]] == ["chunked"]
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Liger ")]
    assert [line.split(" failed: ")[1].startswith("UserError: pretrain.loss is liger") for line in told] == [True]


def test_another_checkout_than_nanogpts_is_the_users_error(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a checkout of github.com/karpathy/nanoGPT"):
        bench.nanogpt_step(tmp_path)


def test_the_whole_table_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(SHAPES, "tiny", MICRO)
    monkeypatch.setattr(pretrain, "MOST_OVERHEAD", 1000)  # of a step that takes no time
    monkeypatch.setattr(sys, "argv", ["pretrain.py", "--steps", "2", "--shape", "tiny"])
    pretrain.main()
    printed = capsys.readouterr().out
    for row in ("transformers.Trainer", "transformers, eager", "ours, eager, chunked loss", "our whole loop"):
        assert f"\n{row} " in printed
    assert "failed" not in printed
    assert "our loop over the bare step: " in printed
