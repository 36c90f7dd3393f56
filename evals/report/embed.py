"""A figure inside a page, so that report.html and halves.html need no other file."""

import base64
from pathlib import Path


def embed(path: Path) -> str:
    """Return a PNG as a data URL."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
