"""The release commands as a user runs them: in a process of its own, with our server in place of the Hub."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from hub_server import WRITER, HubServer

REPOSITORY = Path(__file__).resolve().parent.parent
ORG = "someone"


@dataclass
class Client:
    """Someone at a machine whose cache, token file and scratch folder lie in `home`."""

    server: HubServer
    home: Path

    def environment(self, token: str | None = WRITER) -> dict[str, str]:
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        own = {
            "HF_ENDPOINT": self.server.url, "HF_HOME": str(self.home / "hf"), "TMPDIR": str(self.home / "tmp"),
            "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false",
            "MPLCONFIGDIR": str(REPOSITORY / ".pytest_cache" / "matplotlib"), "OMP_NUM_THREADS": "1",
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return kept | own | ({"HF_TOKEN": token} if token else {})

    def run(self, command: list[str], token: str | None = WRITER, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], env=self.environment(token) | more, cwd=REPOSITORY, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def succeeds(self, command: list[str], token: str | None = WRITER) -> str:
        """Return what a command printed; fail the test when it fails."""
        result = self.run(command, token)
        assert result.returncode == 0, result.stderr[-3000:]
        return result.stdout

    def fails(self, command: list[str], token: str | None = WRITER) -> str:
        """Return what a command that must fail said to that, without a traceback."""
        result = self.run(command, token)
        assert result.returncode == 1
        assert "Traceback" not in result.stderr
        return result.stderr


def push_command(shared_dir: Path, *conditions: str, org: str = ORG) -> list[str]:
    arms = list(conditions or ("baseline", "mulfact"))
    return ["release/push.py", "--org", org, "--shared_dir", str(shared_dir), "--conditions", *arms, "--seeds", "0"]


def pull_command(output_dir: Path, *conditions: str, scale: str = "smoke") -> list[str]:
    arms = list(conditions or ("baseline", "mulfact"))
    command = ["release/pull.py", "--org", ORG, "--scale", scale, "--conditions", *arms, "--seeds", "0"]
    return [*command, "--output_dir", str(output_dir)]
