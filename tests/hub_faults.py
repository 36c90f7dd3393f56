"""What is remembered of a request, and what can be made to go wrong with one."""

import threading
from dataclasses import dataclass, field


@dataclass
class Call:
    """One request as it arrived, and how it was answered."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""
    status: int = 0


@dataclass
class Fault:
    """What goes wrong with the next `times` requests whose method and path match the regular expression `where`."""

    where: str
    times: int = 1
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "injected"
    cut: bool = False  # the connection is closed in the middle of the body, of a request or an answer
    slow: float = 0.0  # seconds that pass before the answer
    stall: threading.Event | None = None  # set when the body was read half; the answer never comes
