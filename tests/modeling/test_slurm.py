"""docs/slurm.sh on two machines that are both this one: stubs of srun and scontrol, real launchers and training."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_pretraining import curve, pretrain, write_recipe

# As srun does, it starts the command on each machine and ends with the worst status; a USR1 it passes on, and at a
# SIGTERM it kills its tasks.
SRUN = """#!/bin/bash
trap 'kill -KILL $(jobs -p)' TERM
trap 'kill -USR1 $(jobs -p)' USR1
for id in 0 1; do SLURM_NODEID=$id "${@:2}" & done
status=0
for task in $(jobs -p); do
  while :; do
    wait "$task"; code=$?
    kill -0 "$task" 2> /dev/null || break  # else a signal has interrupted the wait
  done
  [ $code = 0 ] || status=$code
done
exit $status
"""
SCONTROL = """#!/bin/bash
if [ "$1" = show ]; then echo 127.0.0.1; echo 127.0.0.1; else echo "$@" >> "$REQUEUED"; fi
"""


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job on two machines with a GPU each, which are CPUs here."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    return os.environ | {
        "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REQUEUED": str(tmp_path / "requeued"),
        "ACCELERATE_USE_CPU": "true",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "1",
        "SLURM_JOB_NODELIST": "machine[1-2]",
        "SLURM_JOB_ID": str(free_job_id()),
    }


def free_job_id() -> int:
    """Return a job id whose port, by the script's rule, is free."""
    while True:
        number = random.randrange(10_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", 20_000 + number)):
                return number


def start(recipe: Path, repository: Path, cluster: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["bash", "docs/slurm.sh", str(recipe)],
        cwd=repository,
        env=cluster,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_machines_save_when_told_go_back_into_the_queue_and_end_like_one(
    tmp_path: Path, repository: Path, cluster: dict[str, str]
) -> None:
    recipe = write_recipe(tmp_path, num_processes=2, micro_batch_size=2, max_steps=40, eval_steps=40)
    job = start(recipe, repository, cluster)
    while not list(tmp_path.glob("pretrain_checkpoints/step-*[0-9]")) and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGUSR1)  # as SLURM does two minutes before the end
    output, _ = job.communicate(timeout=120)
    assert "asked to stop: saved" in output, output
    assert Path(cluster["REQUEUED"]).read_text() == f"requeue {cluster['SLURM_JOB_ID']}\n"
    assert not (tmp_path / "pretrain_final").exists()

    again = start(recipe, repository, cluster | {"SLURM_JOB_ID": str(free_job_id())})
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    (tmp_path / "one").mkdir()
    result = pretrain(write_recipe(tmp_path / "one", micro_batch_size=2, max_steps=40, eval_steps=40))
    assert result.returncode == 0, result.stderr
    assert losses(tmp_path) == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


def test_a_run_that_is_just_finished_does_not_go_back_into_the_queue(
    tmp_path: Path, repository: Path, cluster: dict[str, str]
) -> None:
    srun = Path(cluster["PATH"].partition(":")[0]) / "srun"
    srun.write_text("#!/bin/bash\ntrap '' USR1\nsleep 1\n")
    job = start(tmp_path / "pretrain.yaml", repository, cluster)
    time.sleep(0.5)
    job.send_signal(signal.SIGUSR1)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == 0, output
    assert not Path(cluster["REQUEUED"]).exists()


def losses(folder: Path) -> list[float]:
    return [record["loss"] for record in curve(folder) if "loss" in record]
