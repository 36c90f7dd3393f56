"""A run is asked to stop by SIGTERM and by Ctrl-C alike: it notes it, and saves at the end of its step."""

import os
import signal
from types import SimpleNamespace

import pytest

from mulfact.modeling.pretraining.preemption import Preemption


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_noted_and_interrupts_nothing(number: signal.Signals) -> None:
    handlers = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        preemption = Preemption(SimpleNamespace(num_processes=1))  # type: ignore[arg-type]
        assert preemption.agreed(1, save_is_due=False, host_waits=False) == (False, False)
        os.kill(os.getpid(), number)
        assert preemption.agreed(2, save_is_due=False, host_waits=False) == (True, False)
    finally:
        for one, handler in handlers.items():
            signal.signal(one, handler)
