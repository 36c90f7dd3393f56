"""The learning rate of a step: the curves of transformers' schedulers, without their state."""

from dataclasses import dataclass

import pytest
import torch
from transformers import get_cosine_with_min_lr_schedule_with_warmup, get_wsd_schedule

from mulfact.modeling.pretraining.optimizer import learning_rate


@dataclass
class Settings:
    learning_rate: float = 2.0
    min_learning_rate_ratio: float = 0.1
    warmup_steps: int = 10
    schedule: str = "cosine"
    decay_ratio: float = 0.2


def transformers_curve(schedule: str, max_steps: int) -> list[float]:
    """Return what transformers sets before each step from its own index 1 on: it counts from 0, we from 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    if schedule == "cosine":
        scheduler = get_cosine_with_min_lr_schedule_with_warmup(optimizer, 10, max_steps, min_lr_rate=0.1)
    else:
        decay = round(0.2 * max_steps)
        scheduler = get_wsd_schedule(
            optimizer, 10, decay, num_training_steps=max_steps, min_lr_ratio=0.1, decay_type="linear"
        )
    rates = []
    for _ in range(max_steps):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    return rates


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_it_is_the_curve_of_transformers(schedule: str) -> None:
    settings = Settings(schedule=schedule)
    ours = [learning_rate(step, 100, settings) for step in range(1, 101)]
    after_warmup = slice(9, None)  # transformers warms wsd up from its floor, we warm both up from 0
    assert ours[after_warmup] == pytest.approx(transformers_curve(schedule, 100)[after_warmup])


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
def test_it_rises_to_the_peak_and_ends_at_the_floor(schedule: str) -> None:
    settings = Settings(schedule=schedule)
    assert learning_rate(1, 100, settings) == pytest.approx(0.2)
    assert learning_rate(10, 100, settings) == pytest.approx(2.0)
    assert learning_rate(100, 100, settings) == pytest.approx(0.2)


def test_wsd_stays_at_the_peak_until_the_decay() -> None:
    settings = Settings(schedule="wsd")
    assert learning_rate(80, 100, settings) == 2.0
    assert learning_rate(81, 100, settings) < 2.0


@pytest.mark.parametrize("schedule", ["cosine", "wsd"])
@pytest.mark.parametrize("warmup", [0, 5, 50])
def test_short_runs_have_a_positive_rate_at_every_step(schedule: str, warmup: int) -> None:
    settings = Settings(schedule=schedule, warmup_steps=warmup)
    assert all(learning_rate(step, 5, settings) > 0 for step in range(1, 6))
