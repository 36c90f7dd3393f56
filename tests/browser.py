"""Chromium without a window: what a page looks like after its scripts have run, and a picture of it."""

import shutil
import subprocess
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
NO_NETWORK = ("--host-resolver-rules=MAP * ~NOTFOUND", "--disable-background-networking")


def find_browser() -> str | None:
    """Return the command of a Chromium on this machine."""
    return next((name for name in NAMES if shutil.which(name)), None)


def run_browser(page: Path, profile: Path, *options: str) -> str:
    """Open a page from disk, without a network, and return what the browser prints."""
    command = [
        find_browser() or "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
        f"--user-data-dir={profile}", *NO_NETWORK, *options, page.as_uri(),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout
