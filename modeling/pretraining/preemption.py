"""SIGTERM, by which a machine that is taken away tells it, and Ctrl-C: finish the step, save, leave with status 143."""

import ctypes
import signal
import sys
import time
from types import FrameType

import torch
from accelerate import Accelerator

EXIT_STATUS = 128 + signal.SIGTERM
PR_SET_PDEATHSIG = 1
SECONDS_BETWEEN = 2.0  # exchanges of several processes; their launcher gives them 30 seconds to stop


class Preemption:
    """Whether any process of the job was asked to stop."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.asked = False
        self.exchanged, self.last_step, self.next_step = time.perf_counter(), 0, 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        if sys.platform == "linux":
            # `accelerate launch` dies of a SIGTERM without passing it on; its death is passed on instead.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def agreed(self, step: int, save_is_due: bool, host_waits: bool) -> tuple[bool, bool]:
        """Return whether any process was asked to stop, and whether any process's clock says that it is time to save.

        The answer is common to all processes, so that all of them save the same step. Several processes exchange it
        through their devices, for which the host waits: in the steps after which it waits anyway (`host_waits`), and
        in between as often as SECONDS_BETWEEN asks, by a time for a step that is exchanged as well.
        """
        if self.accelerator.num_processes == 1:
            return self.asked, save_is_due
        if not host_waits and step < self.next_step:
            return False, False
        steps = step - self.last_step if self.last_step else 1  # before the first time there is the loading as well
        mine = [self.asked, save_is_due, (time.perf_counter() - self.exchanged) / steps]
        told = torch.tensor(mine, dtype=torch.float32, device=self.accelerator.device)
        asked, due, seconds = self.accelerator.reduce(told, "sum").tolist()
        seconds_a_step = max(seconds / self.accelerator.num_processes, 1e-6)
        self.exchanged, self.last_step = time.perf_counter(), step
        self.next_step = step + max(1, int(SECONDS_BETWEEN / seconds_a_step))
        return asked > 0, due > 0
