"""Precision by what the hardware has, and the agreement of processes about stopping."""

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from accelerate import Accelerator

from mulfact.modeling.launch import resolve_precision
from mulfact.modeling.preemption import Preemption


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
    assert preemption.agreed(save_is_due=False, host_waits=False) == (False, False)
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.agreed(save_is_due=True, host_waits=False) == (True, True)


def test_one_process_that_is_asked_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    class TwoProcesses(SimpleNamespace):
        num_processes = 2
        device = torch.device("cpu")

        def reduce(self, flags: torch.Tensor, reduction: str) -> torch.Tensor:
            return flags + torch.tensor([1, 0], dtype=torch.int32)  # the other process was asked

    preemption = Preemption(TwoProcesses())  # type: ignore[arg-type]
    assert preemption.agreed(save_is_due=False, host_waits=True) == (True, False)
    preemption.asked = True
    assert preemption.agreed(save_is_due=True, host_waits=False) == (False, False), "the other one is not asked yet"
