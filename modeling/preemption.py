"""SIGTERM, the signal of a machine that is about to be taken away: finish the step, save, leave with status 143."""

import ctypes
import signal
import sys
from types import FrameType

import torch
from accelerate import Accelerator

EXIT_STATUS = 128 + signal.SIGTERM
PR_SET_PDEATHSIG = 1


class Preemption:
    """Whether any process of the job was asked to stop."""

    def __init__(self, accelerator: Accelerator) -> None:
        self.accelerator = accelerator
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)
        if sys.platform == "linux":
            # `accelerate launch` dies of a SIGTERM without passing it on; its death is passed on instead.
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def agreed(self, save_is_due: bool, host_waits: bool) -> tuple[bool, bool]:
        """Return whether any process was asked to stop, and whether any process's clock says that it is time to save.

        The answer is common to all processes, so that all of them save the same step. Several processes exchange it
        through their devices, and so only in the steps after which the host waits for its device anyway: `host_waits`.
        """
        if self.accelerator.num_processes == 1:
            return self.asked, save_is_due
        if not host_waits:
            return False, False
        flags = torch.tensor([self.asked, save_is_due], dtype=torch.int32, device=self.accelerator.device)
        asked, due = self.accelerator.reduce(flags, "sum").tolist()
        return asked > 0, due > 0
