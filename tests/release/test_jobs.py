"""Jobs: a stand-in takes what is submitted, and the very command of the job runs in an empty folder and environment."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import HfApi, JobHardware

from mulfact.errors import UserError
from mulfact.release import jobs
from mulfact.release.jobs import Job, check_clean, check_visible, head, submit

# Stands for the project: two stages, the second of which fails or takes its time when it is told to.
MAKEFILE = """
experiment:
	test -e $(OUTPUTS)/one || echo first >> $(OUTPUTS)/ran
	mkdir -p $(OUTPUTS)/one && echo {} > $(OUTPUTS)/one/provenance.json
	! test -e fail
	@if test -n "$(SLOW)"; then trap 'echo saved > $(OUTPUTS)/checkpoint; exit 1' TERM; sleep 60 & wait $$!; fi
	echo $(SEEDS) > $(OUTPUTS)/two
	test -z "$(LOSE)" || mv "$(LOSE)" "$(LOSE).lost"
"""


class StandIn:
    """The Hub's buckets and jobs as far as `submit` asks for them; a bucket is a folder."""

    def __init__(self, bucket: Path) -> None:
        self.bucket, self.calls = bucket, []  # type: ignore[var-annotated]

    def list_jobs_hardware(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name=flavor.value) for flavor in JobHardware]

    def create_bucket(self, bucket_id: str, *, private: bool, exist_ok: bool) -> None:
        self.calls.append(("create", bucket_id, private))
        self.bucket.mkdir(exist_ok=exist_ok)

    def batch_bucket_files(self, bucket_id: str, *, add: list[tuple[Path, str]]) -> None:
        for source, target in add:
            (self.bucket / target).parent.mkdir(exist_ok=True)
            shutil.copy(source, self.bucket / target)

    def run_job(self, **request: Any) -> SimpleNamespace:
        self.calls.append(("run", request))
        return SimpleNamespace(id="0123", url="https://huggingface.co/jobs/someone/0123")


@pytest.fixture
def checkout(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed checkout with the real release/job.sh and a Makefile that stands for ours; the current folder."""
    folder = tmp_path / "checkout"
    (folder / "release").mkdir(parents=True)
    shutil.copy(repository / "release" / "job.sh", folder / "release")
    (folder / "Makefile").write_text(MAKEFILE)
    monkeypatch.chdir(folder)
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "someone")
        monkeypatch.setenv(f"{name}_EMAIL", "someone@example.invalid")
    subprocess.run(["git", "init", "--quiet"], check=True)
    commit("add", ".")
    return folder


def make_job(tmp_path: Path, *settings: str, flavor: str = "h200") -> Job:
    return Job("smoke", "someone", flavor, "24h", head(), ("SEEDS=0 1", *settings), mount=str(tmp_path / "bucket"))


def container(job: Job, home: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start the command of a job as a container does: an empty folder, next to no environment."""
    home.mkdir()
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "SAVE_SECONDS": "0.2", **variables}
    return subprocess.Popen(job.command(), cwd=home, env=clean, start_new_session=True)


def commit(*command: str) -> None:
    subprocess.run(["git", *command], check=True)
    subprocess.run(["git", "commit", "--quiet", "--all", "--message", "x"], check=True)


def forget_times_and_modes(bucket: Path) -> None:
    """Make of a folder what a bucket makes of one that is copied to it."""
    for path in filter(Path.is_file, bucket.rglob("*")):
        path.touch()
        path.chmod(0o600)


def test_a_second_submission_takes_up_what_the_first_one_left(checkout: Path, tmp_path: Path) -> None:
    api, outputs = StandIn(tmp_path / "bucket"), tmp_path / "bucket" / "outputs"
    (checkout / "fail").touch()
    commit("add", ".")
    job = make_job(tmp_path)
    submit(api, job, "hf_secret")  # type: ignore[arg-type]
    assert container(job, tmp_path / "first").wait(60) == 2
    assert (outputs / "one" / "provenance.json").is_file()
    assert not (outputs / "two").exists()

    forget_times_and_modes(api.bucket)
    commit("rm", "--quiet", "fail")
    job = make_job(tmp_path)
    submit(api, job, "hf_secret")  # type: ignore[arg-type]
    assert container(job, tmp_path / "second").wait(60) == 0
    assert (outputs / "two").read_text() == "0 1\n"
    assert (outputs / "ran").read_text() == "first\n", "what was finished is not run again"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_stopped_or_lost_keeps_what_it_has(checkout: Path, tmp_path: Path, how: signal.Signals) -> None:
    job, kept = make_job(tmp_path, "SLOW=1"), tmp_path / "bucket" / "outputs"
    submit(StandIn(tmp_path / "bucket"), job, "hf_secret")  # type: ignore[arg-type]
    process = container(job, tmp_path / "home")
    deadline = time.monotonic() + 60
    while not (kept / "one" / "provenance.json").is_file():  # kept while the experiment is at work
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(how) if how == signal.SIGTERM else os.killpg(process.pid, how)
    assert process.wait(60) != 0
    assert (kept / "checkpoint").exists() == (how == signal.SIGTERM), "pretraining saves when it is stopped"

    forget_times_and_modes(kept)
    assert container(make_job(tmp_path), tmp_path / "second").wait(60) == 0
    assert (kept / "two").read_text() == "0 1\n"
    assert (kept / "ran").read_text() == "first\n", "what was finished is not run again"


@pytest.mark.parametrize("before", [True, False], ids=["from the start", "at the end"])
def test_a_bucket_that_cannot_be_written_fails_the_job(checkout: Path, tmp_path: Path, before: bool) -> None:
    bucket = tmp_path / "bucket"
    job = make_job(tmp_path, *([] if before else [f"LOSE={bucket}"]))
    submit(StandIn(bucket), job, "hf_secret")  # type: ignore[arg-type]
    if before:
        (bucket / "last_job").mkdir()
    assert container(job, tmp_path / "home").wait(60) == 1
    assert (tmp_path / "home" / "mulfact" / "outputs" / "ran").exists() != before, "nothing was paid for in vain"


def test_the_request_is_one_that_the_hub_takes(checkout: Path, tmp_path: Path) -> None:
    api, job = StandIn(tmp_path / "bucket"), make_job(tmp_path)
    told = submit(api, job, "hf_secret")  # type: ignore[arg-type]
    assert "https://huggingface.co/jobs/someone/0123" in told
    (created, bucket, private), (_, request) = api.calls
    assert (created, bucket, private) == ("create", "someone/mulfact-smoke", True)
    assert request.keys() <= set(HfApi.run_job.__annotations__), "run_job has these arguments"
    assert request["secrets"] == {"HF_TOKEN": "hf_secret"}
    (volume,) = request["volumes"]
    assert volume.to_dict() == {"type": "bucket", "source": bucket, "mountPath": job.mount}
    assert "hf_secret" not in job.shown() + told, "the token is never shown"


def test_what_cannot_run_is_refused_before_anything_is_made(checkout: Path, tmp_path: Path) -> None:
    api = StandIn(tmp_path / "bucket")
    with pytest.raises(UserError, match="FLAVOR is 'h100': Hugging Face rents cpu-basic, .*h200"):
        submit(api, make_job(tmp_path, flavor="h100"), "hf_secret")  # type: ignore[arg-type]
    assert api.calls == []
    with pytest.raises(UserError, match="GSM8K is .*, a folder here that a job does not see"):
        check_visible(["JOBS=2", f"GSM8K={tmp_path}"])
    check_visible(["GSM8K=openai/gsm8k", f"OVERRIDES=x={tmp_path}"])
    (checkout / "changed").touch()
    with pytest.raises(UserError, match="changed is not in one: git commit"):
        check_clean()


def test_without_go_it_is_only_printed(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jobs, "submit", lambda *_: pytest.fail("submitted"))
    words = "jobs --scale pilot --conditions baseline mulfact --seeds 0 1 --flavor h200 --org someone"
    monkeypatch.setattr("sys.argv", [*words.split(), "--settings", "JOBS=2"])
    jobs.main()
    printed = capsys.readouterr().out
    assert printed.startswith("hf jobs run --flavor h200 ")
    assert "--volume hf://buckets/someone/mulfact-pilot:/bucket" in printed
    assert "'\"'\"'CONDITIONS=baseline mulfact'\"'\"'" in printed
    assert "not submitted: add GO=1" in printed
