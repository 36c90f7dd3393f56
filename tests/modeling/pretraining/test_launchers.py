"""What is launched does not enter the curve: one process, two, and DeepSpeed compute the same, by the real launcher."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from tiny_pretraining import curve, pretrain, write_recipe

LAUNCHER = ("-m", "accelerate.commands.launch", "--quiet", "--main_process_port", "0", "--num_processes", "2")
STEPS = {"max_steps": 40, "eval_steps": 20}


def on_two(config: str) -> tuple[str, ...]:
    return (*LAUNCHER, "--config_file", f"accelerate_configs/{config}.yaml")


def assert_same_curve(folder: Path, reference: Path) -> None:
    """Each number of the one curve is that of the other to 1e-5."""
    ours, theirs = curve(folder), curve(reference)
    assert [record["step"] for record in ours] == [record["step"] for record in theirs]
    for record, expected in zip(ours, theirs, strict=True):
        for name in ("bits_per_byte_by_source", "canonical_bits_per_byte_by_source"):
            by_source = expected.get("validation", {}).pop(name, {})
            assert record.get("validation", {}).pop(name, {}) == pytest.approx(by_source, rel=1e-5)
        assert record.pop("validation", {}) == pytest.approx(expected.pop("validation", {}), rel=1e-5)
        assert record == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference: one process that accumulates four micro-batches."""
    folder = tmp_path_factory.mktemp("one")
    result = pretrain(write_recipe(folder, micro_batch_size=2, **STEPS))
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("config", ["cpu_ddp", "zero1", "zero2"])
def test_two_processes_are_one(one_process: Path, tmp_path: Path, config: str) -> None:
    result = pretrain(write_recipe(tmp_path, num_processes=2, micro_batch_size=2, **STEPS), *on_two(config))
    assert result.returncode == 0, result.stderr
    assert_same_curve(tmp_path, one_process)


# Says what of the wrapped model is left when the connection between the processes ends.
LOOKS_AROUND = """
import gc
import torch.distributed
from torch.nn.parallel import DistributedDataParallel
from mulfact.modeling import pretrain
end = torch.distributed.destroy_process_group
def look_around(*arguments):
    kinds = DistributedDataParallel | torch.distributed.Reducer
    wrapped = [thing for thing in gc.get_objects() if isinstance(thing, kinds)]
    print("still wrapped:", len(wrapped), flush=True)
    end(*arguments)
torch.distributed.destroy_process_group = look_around
pretrain.main()
"""


def test_the_wrapped_model_goes_before_the_connection(tmp_path: Path) -> None:
    """As the last to hold it, DDP would end it with Python's lock held, for which a thread of it may be waiting."""
    (tmp_path / "script.py").write_text(LOOKS_AROUND)
    recipe = write_recipe(tmp_path, num_processes=2, micro_batch_size=2)
    command = [sys.executable, *on_two("cpu_ddp"), str(tmp_path / "script.py"), "--config", str(recipe)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr
    assert re.findall(r"still wrapped: (\d+)", result.stdout) == ["0", "0"]


def stop_after_first_checkpoint(
    recipe: Path, repository: Path, *launcher: str, supervised: bool = False
) -> tuple[int, str]:
    """Start a job, send it SIGTERM when the first checkpoint stands; return its status and what was printed by then.

    `supervised`: as make starts it. Otherwise the signal goes to the launcher.
    """
    folder = str(recipe.parent / "pretrain_checkpoints")
    supervisor = [sys.executable, "modeling/supervise.py", "--folder", folder, "--"] if supervised else []
    command = [*supervisor, sys.executable, *launcher, "modeling/pretrain.py", "--config", str(recipe)]
    log = recipe.parent / "log"
    with log.open("w") as file:
        job = subprocess.Popen(command, cwd=repository, stdout=file, stderr=subprocess.STDOUT)
    while not list(recipe.parent.glob("pretrain_checkpoints/step-*[0-9]")) and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGTERM)
    return job.wait(timeout=120), log.read_text()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_make_started_saves_and_leaves_with_status_143(
    tmp_path: Path, repository: Path, processes: int
) -> None:
    launcher = ("-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml")
    recipe = write_recipe(tmp_path, num_processes=processes, micro_batch_size=2, **STEPS)
    launcher = launcher if processes == 1 else on_two("cpu_ddp")
    status, output = stop_after_first_checkpoint(recipe, repository, *launcher, supervised=True)
    assert status == 143
    saved = re.search(r"asked to stop: saved (\S+);", output)  # before the status is there
    assert saved, output
    assert (repository / saved[1]).is_dir()


@pytest.mark.parametrize("config", ["cpu_ddp", "zero2"])
def test_a_job_stopped_by_its_launcher_goes_on(
    one_process: Path, tmp_path: Path, repository: Path, config: str
) -> None:
    recipe = write_recipe(tmp_path, num_processes=2, micro_batch_size=2, **STEPS)
    assert stop_after_first_checkpoint(recipe, repository, *on_two(config))[0] != 0
    assert not (tmp_path / "pretrain_final").exists()
    if config == "zero2":  # each process holds its part of the optimizer, so the job must be the same
        result = pretrain(write_recipe(tmp_path, num_processes=2, micro_batch_size=2, **STEPS), *on_two(config))
    else:  # a smaller machine finishes the work
        result = pretrain(write_recipe(tmp_path, micro_batch_size=2, **STEPS))
    assert result.returncode == 0, result.stderr
    assert_same_curve(tmp_path, one_process)


def test_a_lost_process_is_told_and_the_job_goes_on(one_process: Path, tmp_path: Path, repository: Path) -> None:
    recipe = write_recipe(tmp_path, num_processes=2, micro_batch_size=2, **STEPS)
    command = [sys.executable, *on_two("cpu_ddp"), "modeling/pretrain.py", "--config", str(recipe)]
    job = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(tmp_path.glob("pretrain_checkpoints/step-*[0-9]")) and job.poll() is None:
        time.sleep(0.01)
    psutil.Process(job.pid).children()[-1].kill()
    output, _ = job.communicate()
    assert job.returncode == 1
    assert re.search(r"error: another process of this job was lost after step \d+: .*step-0000", output)
    assert "loop.py" not in output  # no traceback of ours
    result = pretrain(recipe, *on_two("cpu_ddp"))
    assert result.returncode == 0, result.stderr
    assert_same_curve(tmp_path, one_process)


def test_the_death_of_the_launcher_reaches_its_process(tmp_path: Path, repository: Path) -> None:
    recipe = write_recipe(tmp_path, **STEPS)
    config = ("-m", "accelerate.commands.launch", "--config_file", "accelerate_configs/cpu.yaml")
    stop_after_first_checkpoint(recipe, repository, *config)
    checkpoints = tmp_path / "pretrain_checkpoints"
    deadline = time.time() + 30
    while (newest := max(checkpoints.glob("step-*[0-9]"), default=None)) and time.time() < deadline:
        time.sleep(0.5)  # it saves the step it was in and leaves, instead of training on as an orphan
        if newest == max(checkpoints.glob("step-*[0-9]"), default=None):
            break
    assert not (tmp_path / "pretrain_final").exists()


def test_unconnected_processes_are_refused(tmp_path: Path) -> None:
    result = pretrain(write_recipe(tmp_path, num_processes=2))
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1].startswith("error: pretrain.num_processes is 2, the launcher started 1")


def test_processes_that_would_train_each_alone_are_refused(tmp_path: Path, repository: Path) -> None:
    config = (repository / "accelerate_configs" / "cpu_ddp.yaml").read_text()
    (tmp_path / "multi_cpu.yaml").write_text(config.replace("type: MULTI_GPU", "type: MULTI_CPU"))
    recipe = write_recipe(tmp_path, num_processes=2)
    result = pretrain(recipe, *LAUNCHER, "--config_file", str(tmp_path / "multi_cpu.yaml"))
    assert result.returncode == 1
    assert "the launcher started 1 and 1 of them are connected" in result.stderr
    assert not (tmp_path / "pretrain_checkpoints").exists()
