"""Precision by what the hardware has, and the agreement of processes about stopping."""

import os
import signal
import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from mulfact.modeling.pretraining.launch import resolve_precision
from mulfact.modeling.pretraining.preemption import Preemption


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("capability", "expected"), [("avx512_bf16", "bf16"), ("amx_bf16", "bf16"), ("avx2", "no")])
def test_auto_is_bf16_where_a_cpu_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, capability: str, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # a GPU that the launcher was told not to use
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {capability: True})
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu) == expected
    assert resolve_precision("bf16", cpu) == "bf16"  # slow without the capability, but what the recipe says
    assert resolve_precision("no", cpu) == "no"


def test_a_sigterm_is_kept_until_the_step_is_done() -> None:
    preemption = Preemption(Accelerator(cpu=True))
    assert preemption.agreed(1, save_is_due=False, host_waits=False) == (False, False)
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.agreed(2, save_is_due=True, host_waits=False) == (True, True)


class TwoProcesses(SimpleNamespace):
    """An accelerator whose other process is asked to stop, and is as fast as this one."""

    num_processes = 2
    device = torch.device("cpu")

    def reduce(self, mine: torch.Tensor, reduction: str) -> torch.Tensor:
        return mine + torch.tensor([1.0, 0.0, mine[2]])


def test_one_process_that_is_asked_stops_all() -> None:
    preemption = Preemption(TwoProcesses())  # type: ignore[arg-type]
    assert preemption.agreed(1, save_is_due=False, host_waits=True) == (True, False)


@pytest.mark.parametrize(("seconds", "exchanges"), [(0.25, [1, 2, 10, 18]), (30.0, list(range(1, 21)))])
def test_processes_ask_each_other_every_two_seconds_or_every_step(
    monkeypatch: pytest.MonkeyPatch, seconds: float, exchanges: list[int]
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    preemption, found = Preemption(TwoProcesses()), []  # type: ignore[arg-type]
    now += 60.0  # until the first step is done: loading and compiling
    for step in range(1001, 1021):  # of a run that goes on
        now += seconds
        if preemption.agreed(step, save_is_due=False, host_waits=False)[0]:
            found.append(step - 1000)
    assert found == exchanges
    preemption.agreed(1021, save_is_due=False, host_waits=True)
    assert preemption.last_step == 1021, "where the host waits anyway they ask in any case"
