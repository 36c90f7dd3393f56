"""The pull command, as a process, against our server: checkpoints come back whole and give the published numbers."""

import json
import re
from pathlib import Path

import pytest
from hub_faults import Fault
from hub_server import READER, HubServer
from hub_store import Blob, small_blob
from release_commands import ORG, environment, pull_command, push, run
from release_folders import write_release

from mulfact.provenance import hash_file

pytestmark = pytest.mark.xdist_group("pull")  # one experiment for all of them

WEIGHTS = f"/{ORG}/mulfact-smoke-mulfact-seed0-grpo/resolve/[^/]+/model.safetensors"


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("experiment") / "outputs")


@pytest.fixture(scope="module")
def server(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory):
    with HubServer() as server:
        push(server, tmp_path_factory.mktemp("pusher"), shared_dir)
        yield server


@pytest.fixture
def clean(server: HubServer):
    """The server with its repositories as they were, whatever the test does to them."""
    server.calls.clear()
    server.faults.clear()
    commits = {key: dict(repo.commits) for key, repo in server.store.repos.items()}
    yield server
    server.store.repos = {key: repo for key, repo in server.store.repos.items() if key in commits}
    for key, repo in server.store.repos.items():
        repo.commits = commits[key]


def replace(server: HubServer, repo_type: str, name: str, files: dict[str, bytes]) -> None:
    repo = server.store.repos[repo_type, f"{ORG}/{name}"]
    repo.commit(repo.files | {path: small_blob(content) for path, content in files.items()})


def test_a_stranger_gets_the_published_table_through_a_cut_connection(
    clean: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    clean.faults += [Fault(f"GET {WEIGHTS}", cut=True), Fault(r"GET /api/models/", status=429)]
    output, variables = tmp_path / "pulled", environment(clean, tmp_path, READER)
    result = run(pull_command(output, "mulfact"), variables)
    assert result.returncode == 0, result.stderr[-3000:]
    assert all(fault.times == 0 for fault in clean.faults)
    fetched = [call for call in clean.calls if re.fullmatch(WEIGHTS, call.path) and call.method == "GET"]
    assert len(fetched) == 2

    pulled, run_folder = output / ORG / "smoke", Path("mulfact/seed-0")
    for stage in ("pretrain", "sft", "grpo"):
        name = run_folder / f"{stage}_final" / "model.safetensors"
        assert hash_file(pulled / name) == hash_file(shared_dir / name)
    rows = json.loads((pulled / "reproduction.json").read_text())
    assert len(rows) == 6, "three stages of the two tasks that were evaluated and are in the report"
    assert all(row["here"] == row["published"] == 0 for row in rows)
    assert "6 of 6 accuracies are the published ones" in result.stdout
    assert not [path for path in output.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]

    clean.calls.clear()
    again = run(pull_command(output, "mulfact"), variables)
    assert "6 of 6" in again.stdout
    assert "items/s" not in again.stdout, "an evaluation of the same files is not repeated"
    assert not [call for call in clean.calls if call.method == "GET" and "/resolve/" in call.path]


def test_a_large_download_goes_on_where_it_was_cut(clean: HubServer, tmp_path: Path) -> None:
    content = bytes(range(256)) * 120_000  # 30 MB: the client keeps pieces of 10 MB
    clean.store.create("model", f"{ORG}/large", private=True)
    clean.store.repos["model", f"{ORG}/large"].commit({"model.safetensors": small_blob(content)})
    clean.faults.append(Fault(r"GET .*/model.safetensors", cut=True))
    code = f"from huggingface_hub import snapshot_download as get; get('{ORG}/large', local_dir={str(tmp_path)!r})"
    result = run(["-c", code], environment(clean, tmp_path, READER))
    assert result.returncode == 0, result.stderr[-3000:]
    assert (tmp_path / "model.safetensors").read_bytes() == content
    asked = [c.headers.get("Range") for c in clean.calls if c.method == "GET" and c.path.endswith("model.safetensors")]
    assert asked == [None, f"bytes={10 * 2**20}-"]


@pytest.mark.parametrize(
    ("name", "path", "message"),
    [
        ("mulfact-smoke-mulfact-seed0-sft", "pytorch_model.bin", "only safetensors are loaded"),
        ("mulfact-smoke-mulfact-seed0-sft", "training/optimizer.pt", "only safetensors are loaded"),
        ("mulfact-smoke-mulfact-seed0-sft", "tokenizer.json", "is not the file that provenance.json"),
    ],
)
def test_a_repository_that_cannot_be_trusted_is_refused(
    clean: HubServer, tmp_path: Path, name: str, path: str, message: str
) -> None:
    replace(clean, "model", name, {path: b"{}"})
    result = run(pull_command(tmp_path / "pulled", "mulfact"), environment(clean, tmp_path, READER))
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "pulled").rglob("*.bin"))


def test_a_checkpoint_without_its_weights_is_refused(clean: HubServer, tmp_path: Path) -> None:
    repo = clean.store.repos["model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft"]
    files: dict[str, Blob] = {path: blob for path, blob in repo.files.items() if path != "model.safetensors"}
    repo.commit(files)
    result = run(pull_command(tmp_path / "pulled", "mulfact"), environment(clean, tmp_path, READER))
    assert result.returncode == 1
    assert "model.safetensors is not the file that provenance.json" in result.stderr


@pytest.mark.parametrize(
    ("arm", "token", "message"),
    [
        ("mulfact", None, "does not accept the token (401"),  # private, and nobody is logged in
        ("mulfact", "hf_wrong", "does not accept the token (401"),
        ("placebo", READER, "the report covers the arms baseline, mulfact with seeds 0, not placebo with seed 0"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    clean: HubServer, tmp_path: Path, arm: str, token: str | None, message: str
) -> None:
    result = run(pull_command(tmp_path / "pulled", arm), environment(clean, tmp_path, token))
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_scale_that_was_never_pushed_is_one_line(clean: HubServer, tmp_path: Path) -> None:
    command = pull_command(tmp_path / "pulled")
    command[command.index("smoke")] = "pilot"
    result = run(command, environment(clean, tmp_path, READER))
    assert result.returncode == 1
    assert "nothing is there, or the token may not read it (404" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_tag_names_the_revision_that_is_pulled(clean: HubServer, tmp_path: Path) -> None:
    replace(clean, "model", "mulfact-smoke-mulfact-seed0-sft", {"tokenizer.json": b"{}"})  # after the tag was set
    (tag,) = clean.store.repos["model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft"].tags
    command = [*pull_command(tmp_path / "pulled", "mulfact"), "--revision", tag]
    clean.faults.append(Fault(r"GET /api/models/.*-grpo/revision", times=99, status=403))  # far enough
    result = run(command, environment(clean, tmp_path, READER))
    assert "mulfact-seed0-sft: " in result.stdout
    assert "the token may not do this (403" in result.stderr


def test_an_experiment_whose_gate_stopped_grpo_goes_to_the_hub_and_back(tmp_path: Path) -> None:
    shared_dir = write_release(tmp_path / "outputs", gated=True)
    with HubServer() as server:
        push(server, tmp_path, shared_dir)
        pushed = {name for kind, name in server.store.repos if kind == "model" and "seed" in name}
        arms = ("baseline", "mulfact")
        assert pushed == {f"{ORG}/mulfact-smoke-{arm}-seed0-{stage}" for arm in arms for stage in ("pretrain", "sft")}
        result = run(pull_command(tmp_path / "pulled", "mulfact"), environment(server, tmp_path, READER))
    assert result.returncode == 0, result.stderr[-3000:]
    assert "4 of 4 accuracies are the published ones" in result.stdout
