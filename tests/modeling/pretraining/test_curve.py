"""Where the points of a curve lie, and what is left of them when a run goes on from before some of them."""

import json
from pathlib import Path

import numpy as np
import pytest
from accelerate import Accelerator
from transformers import GPT2Config, GPT2LMHeadModel

from mulfact.errors import UserError
from mulfact.modeling.pretraining.curve import Curve, curve_steps, points_of


@pytest.mark.parametrize(
    ("points", "steps"), [(24, 960), (24, 100), (24, 30), (24, 24), (3, 7), (1, 50), (100, 19_073)]
)
def test_points_are_distinct_and_end_at_the_last_step(points: int, steps: int) -> None:
    taken = curve_steps(points, steps)
    assert len(taken) == points
    assert taken[-1] == steps
    assert taken[0] >= 1
    assert (np.diff(taken) > 0).all()


def test_spacing_is_by_the_logarithm() -> None:
    assert curve_steps(5, 10_000) == [100, 316, 1000, 3162, 10_000]
    assert curve_steps(24, 5) == [1, 2, 3, 4, 5]  # a run cannot have more points than steps
    assert curve_steps(0, 5) == []


@pytest.fixture
def model() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=8, n_positions=4, n_embd=4, n_layer=1, n_head=1))


def test_what_lies_behind_the_checkpoint_is_dropped(tmp_path: Path, model: GPT2LMHeadModel) -> None:
    curve = Curve(tmp_path / "curve", [2, 4, 8], Accelerator(cpu=True))
    for step in (2, 4, 8):
        curve.save(model, {"step": step, "tokens": 10 * step, "bytes": 30 * step})
    (tmp_path / "curve" / "step-000016.partial").mkdir()
    curve.begin(resumed_step=4)
    assert [path.name for path in points_of(tmp_path / "curve")] == ["step-000002", "step-000004"]
    assert len(list((tmp_path / "curve").iterdir())) == 2
    assert json.loads((tmp_path / "curve/step-000004/point.json").read_text())["bytes"] == 120


def test_a_full_disk_is_told_and_leaves_no_half_point(
    tmp_path: Path, model: GPT2LMHeadModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save_pretrained", fail)
    with pytest.raises(UserError, match="keep fewer with pretrain.curve"):
        Curve(tmp_path / "curve", [1], Accelerator(cpu=True)).save(model, {"step": 1, "tokens": 1, "bytes": 1})
    assert points_of(tmp_path / "curve") == []
    assert not list((tmp_path / "curve").iterdir())
