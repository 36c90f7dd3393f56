"""Checkpoints that a changed recipe makes useless are renamed, not deleted: hours went into them."""

from collections.abc import Iterable
from pathlib import Path


def aside_name(folder: Path) -> Path:
    """Return a name beside `folder` that is free: pretrain_checkpoints.set-aside-1, or the next number."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.set-aside-{number}")).exists():
        number += 1
    return aside


def aside_message(folder: Path, aside: Path, differing: Iterable[str]) -> str:
    """Return what the user is told; `differing` names what is not as it was."""
    return (
        f"{folder} holds checkpoints of another run ({', '.join(differing)} differ): starting anew; the old ones are "
        f"now {aside}, remove them when you do not need them"
    )
