"""Steps from a target: as many as reach it, and the same for every arm."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mulfact.errors import UserError
from mulfact.modeling.pretraining.steps import bytes_factor, resolve_steps, step_flops


def arguments(**targets: Any) -> SimpleNamespace:
    shape = {"n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}
    compute = {"sequence_length": 1024, "tokens_per_step": 524_288, "steps_factor": 1.0, "bytes_as": None}
    return SimpleNamespace(
        **shape | compute | {"max_steps": None, "target_tokens": None, "target_flops": None} | targets
    )


def test_each_target_gives_the_steps_that_reach_it() -> None:
    assert resolve_steps(arguments(max_steps=7), 50304) == 7
    assert resolve_steps(arguments(target_tokens=2_500_000_000), 50304) == 4769
    per_step = step_flops(arguments(), 50304)
    assert resolve_steps(arguments(target_flops=per_step * 99.5), 50304) == 100


def test_a_step_of_gpt2_124m_costs_what_the_papers_say() -> None:
    """6 N + 12 L E T per token (PaLM, appendix B), N without the position embeddings but with the head."""
    parameters = 50304 * 768 + 12 * 12 * 768**2
    assert step_flops(arguments(), 50304) / 524_288 == pytest.approx(6 * parameters + 12 * 12 * 768 * 1024, rel=1e-3)


@pytest.mark.parametrize("targets", [{}, {"max_steps": 3, "target_tokens": 10}])
def test_no_target_or_two_is_the_users_error(targets: dict[str, int]) -> None:
    with pytest.raises(UserError, match="pretrain"):
        resolve_steps(arguments(**targets), 50304)


def test_a_declared_control_has_other_steps() -> None:
    assert resolve_steps(arguments(max_steps=100, steps_factor=1.1), 50304) == 110
    assert resolve_steps(arguments(max_steps=100), 50304, factor=0.956) == 96


def test_a_control_may_read_as_many_bytes_as_an_arm(tmp_path: Path) -> None:
    for arm, size in (("baseline", 3000), ("mulfact", 3300)):
        split = {"bytes": size, "tokens": 1000}
        (tmp_path / arm / "tokens").mkdir(parents=True)
        (tmp_path / arm / "tokens/manifest.json").write_text(json.dumps({"splits": {"train": split}}))
    own, other = (str(tmp_path / arm / "tokens") for arm in ("baseline", "mulfact"))
    assert bytes_factor(arguments(tokens=own)) == 1.0
    assert bytes_factor(arguments(tokens=own, bytes_as=other)) == pytest.approx(1.1)
    with pytest.raises(UserError, match="run make tokens CONDITION=sums first"):
        bytes_factor(arguments(tokens=own, bytes_as=str(tmp_path / "sums/tokens")))
