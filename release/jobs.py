"""Rent a GPU of Hugging Face for an experiment: print the job, or with --go submit it.

    make jobs SCALE=pilot FLAVOR=h200 ORG=someone SEEDS="0 1 2"          # prints the command of `hf jobs run`
    make jobs SCALE=pilot FLAVOR=h200 ORG=someone SEEDS="0 1 2" GO=1     # submits it

The job clones this commit from a private bucket, runs `make experiment` (release/job.sh) and keeps the outputs in the
bucket every few minutes. A second submission takes them up again: what is finished is not trained anew, what was
interrupted goes on from its checkpoint. `make plan` says what an experiment costs.
"""

import argparse
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, Volume, get_token
from huggingface_hub.errors import LocalTokenNotFoundError

from mulfact.command_line import Conditions, Seeds
from mulfact.errors import UserError, command
from mulfact.release.hub import persist, told_in_a_line

IMAGE = "python:3.11"  # with git, make and a compiler; torch brings CUDA, the machine its driver
PASSED_ON = ("TRACKIO_SPACE_ID",)  # of this environment


@dataclass(frozen=True)
class Job:
    """What is submitted: `settings` are variables of make, `mount` is where the container sees the bucket."""

    scale: str
    org: str
    flavor: str
    timeout: str
    commit: str
    settings: tuple[str, ...]
    mount: str = "/bucket"

    @property
    def bucket(self) -> str:
        return f"{self.org}/mulfact-{self.scale}"

    @property
    def code(self) -> str:
        """The place of the commit in the bucket."""
        return f"code/{self.commit}.bundle"

    def command(self) -> list[str]:
        """Return what the container runs."""
        bundle = shlex.quote(f"{self.mount}/{self.code}")
        script = (
            f"git -c advice.detachedHead=false clone --quiet {bundle} mulfact && cd mulfact && "
            f"git checkout --quiet {self.commit} && "
            f"exec bash release/job.sh {shlex.join([self.mount, f'SCALE={self.scale}', *self.settings])}"
        )
        return ["bash", "-c", script]

    def request(self, token: str | None) -> dict[str, Any]:
        """Return the arguments of HfApi.run_job."""
        return {
            "image": IMAGE,
            "command": self.command(),
            "flavor": self.flavor,
            "timeout": self.timeout,
            "volumes": [Volume(type="bucket", source=self.bucket, mount_path=self.mount)],
            "labels": {"mulfact": self.scale, "commit": self.commit[:12]},
            "env": {name: os.environ[name] for name in PASSED_ON if name in os.environ},
            "secrets": {"HF_TOKEN": token} if token else {},
            "namespace": self.org,
        }

    def shown(self) -> str:
        """Return the same as a command line of `hf`; the token is read from the environment there."""
        request = self.request(None)
        (volume,) = request["volumes"]
        options = ["--flavor", self.flavor, "--timeout", self.timeout, "--namespace", self.org, "--secrets", "HF_TOKEN"]
        options += ["--volume", volume.to_uri()]
        for name, value in request["env"].items():
            options += ["--env", f"{name}={value}"]
        for name, value in request["labels"].items():
            options += ["--label", f"{name}={value}"]
        return shlex.join(["hf", "jobs", "run", *options, IMAGE, *request["command"]])


@command
def main() -> None:
    parser = argparse.ArgumentParser(description="Rent a GPU of Hugging Face for an experiment.")
    parser.add_argument("--scale", required=True)
    parser.add_argument("--conditions", nargs="*", action=Conditions, required=True)
    parser.add_argument("--seeds", nargs="*", action=Seeds, required=True)
    parser.add_argument("--flavor", required=True, help="the machine; `hf jobs hardware` lists them with prices")
    parser.add_argument("--org", required=True, help="user or organisation that owns the bucket and pays")
    parser.add_argument("--timeout", default="24h", help="after which the job is stopped: 90m, 24h, 2d")
    parser.add_argument("--settings", nargs="*", default=[], help="further variables of make, NAME=value")
    parser.add_argument("--go", action="store_true", help="submit it; else it is only printed")
    options = parser.parse_args()
    check_visible(options.settings)
    settings = (f"CONDITIONS={' '.join(options.conditions)}", f"SEEDS={' '.join(map(str, options.seeds))}")
    job = Job(options.scale, options.org, options.flavor, options.timeout, head(), (*settings, *options.settings))
    print(job.shown())
    if not options.go:
        print(f"\nnot submitted: add GO=1. Outputs: hf://buckets/{job.bucket}/outputs, this commit: {job.code} there")
        return
    check_clean()
    token = get_token()
    with told_in_a_line(f"jobs of {job.org}"):
        if token is None:
            raise LocalTokenNotFoundError
        print(submit(HfApi(token=token), job, token))


def head() -> str:
    """Return the commit of the checkout. Raises UserError outside one."""
    result = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if result.returncode:
        raise UserError("a job runs a commit, and this is no checkout of git: clone the repository and start there")
    return result.stdout.strip()


def check_visible(settings: Iterable[str]) -> None:
    """Raise UserError when GSM8K is a folder of this machine."""
    for setting in settings:
        name, _, value = setting.partition("=")
        if name == "GSM8K" and Path(value).exists():
            raise UserError(f"GSM8K is {value}, a folder here that a job does not see: say GSM8K=openai/gsm8k")


def check_clean() -> None:
    """Raise UserError when the checkout holds changes that the job would not see."""
    changed = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    if changed:
        raise UserError(f"a job runs a commit, and {changed.split()[1]} is not in one: git commit or git stash first")


def submit(api: HfApi, job: Job, token: str) -> str:
    """Put the commit into the bucket, submit the job, and return where to watch it.

    Raises UserError for a machine that is not to be had, before anything is made.
    """
    flavors = [hardware.name for hardware in persist(api.list_jobs_hardware)]
    if job.flavor not in flavors:
        raise UserError(f"FLAVOR is {job.flavor!r}: Hugging Face rents {', '.join(flavors)}")
    persist(api.create_bucket, job.bucket, private=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = Path(scratch) / "code.bundle"
        subprocess.run(["git", "bundle", "create", "--quiet", str(bundle), "HEAD"], check=True)
        persist(api.batch_bucket_files, job.bucket, add=[(bundle, job.code)])
    started = persist(api.run_job, **job.request(token))
    return f"submitted {started.id}: {started.url}\nits lines: hf jobs logs --namespace {job.org} {started.id}"


if __name__ == "__main__":
    main()
