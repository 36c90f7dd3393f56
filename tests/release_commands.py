"""The release commands as a user runs them: in a process of its own, with our server in place of the Hub."""

import os
import subprocess
import sys
from pathlib import Path

from hub_server import WRITER, HubServer

REPOSITORY = Path(__file__).resolve().parent.parent
ORG = "someone"


def environment(server: HubServer, home: Path, token: str | None = WRITER) -> dict[str, str]:
    """Return the environment of a client whose cache, token file and scratch folder lie in `home`."""
    (home / "tmp").mkdir(parents=True, exist_ok=True)
    own = {
        "HF_ENDPOINT": server.url, "HF_HOME": str(home / "hf"), "TMPDIR": str(home / "tmp"), "OMP_NUM_THREADS": "1",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false",
        "MPLCONFIGDIR": str(REPOSITORY / ".pytest_cache" / "matplotlib"),
    }  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return kept | own | ({"HF_TOKEN": token} if token else {})


def run(command: list[str], variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=variables, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def push_command(shared_dir: Path, *conditions: str, public: bool = False) -> list[str]:
    arms = list(conditions or ("baseline", "mulfact"))
    command = ["release/push.py", "--org", ORG, "--shared_dir", str(shared_dir), "--conditions", *arms, "--seeds", "0"]
    return [*command, *(["--public"] if public else [])]


def push(server: HubServer, home: Path, shared_dir: Path, *conditions: str, **settings: object) -> str:
    """Push and return what was printed; fail the test when it does."""
    result = run(push_command(shared_dir, *conditions, **settings), environment(server, home))  # type: ignore[arg-type]
    assert result.returncode == 0, result.stderr
    return result.stdout


def pull_command(output_dir: Path, *conditions: str) -> list[str]:
    arms = list(conditions or ("baseline", "mulfact"))
    command = ["release/pull.py", "--org", ORG, "--scale", "smoke", "--conditions", *arms, "--seeds", "0"]
    return [*command, "--output_dir", str(output_dir)]
