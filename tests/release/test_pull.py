"""The pull command, as a process, against our server: checkpoints come back whole and give the published numbers."""

import json
import re
from pathlib import Path

import pytest
from hub_faults import Fault
from hub_server import READER
from hub_store import small_blob
from release_commands import ORG, Client, pull_command, push_command
from release_folders import write_release

from mulfact.provenance import hash_file

WEIGHTS = f"/{ORG}/mulfact-smoke-mulfact-seed0-grpo/resolve/[^/]+/model.safetensors"
SFT = ("model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft")


def test_a_stranger_gets_the_published_table_through_a_cut_connection(pushed: Client, shared_dir: Path) -> None:
    server, output = pushed.server, pushed.home / "pulled"
    server.faults += [Fault(f"GET {WEIGHTS}", cut=True), Fault(r"GET /api/models/", status=429)]
    printed = pushed.succeeds(pull_command(output, "mulfact"), READER)
    assert all(fault.times == 0 for fault in server.faults)
    assert len([call for call in server.calls if re.fullmatch(WEIGHTS, call.path) and call.method == "GET"]) == 2

    pulled, run_folder = output / ORG / "smoke", Path("mulfact/seed-0")
    for stage in ("pretrain", "sft", "grpo"):
        name = run_folder / f"{stage}_final" / "model.safetensors"
        assert hash_file(pulled / name) == hash_file(shared_dir / name)
    rows = json.loads((pulled / "reproduction.json").read_text())
    assert len(rows) == 6, "three stages of the two tasks that were evaluated and are in the report"
    assert all(row["here"] == row["published"] == 0 for row in rows)
    assert "6 of 6 accuracies are the published ones" in printed
    assert not [path for path in output.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]

    server.calls.clear()
    again = pushed.succeeds(pull_command(output, "mulfact"), READER)
    assert "6 of 6" in again
    assert "items/s" not in again, "an evaluation of the same files is not repeated"
    assert not [call for call in server.calls if call.method == "GET" and "/resolve/" in call.path]


def test_a_large_download_goes_on_where_it_was_cut(hub: Client) -> None:
    content = bytes(range(256)) * 120_000  # 30 MB: the client keeps pieces of 10 MB
    hub.server.store.create("model", f"{ORG}/large", private=True)
    hub.server.store.repos["model", f"{ORG}/large"].commit({"model.safetensors": small_blob(content)})
    hub.server.faults.append(Fault(r"GET .*/model.safetensors", cut=True))
    code = f"from huggingface_hub import snapshot_download as get; get('{ORG}/large', local_dir={str(hub.home)!r})"
    hub.succeeds(["-c", code], READER)
    assert (hub.home / "model.safetensors").read_bytes() == content
    got = [call for call in hub.server.calls if call.method == "GET" and call.path.endswith("model.safetensors")]
    assert [call.headers.get("Range") for call in got] == [None, f"bytes={10 * 2**20}-"]


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("pytorch_model.bin", b"{}", "only safetensors are loaded"),
        ("training/optimizer.pt", b"{}", "only safetensors are loaded"),
        ("tokenizer.json", b"{}", "tokenizer.json is not the file that provenance.json"),
        ("model.safetensors", None, "model.safetensors is not the file that provenance.json"),
    ],
)
def test_a_repository_that_cannot_be_trusted_is_refused(
    pushed: Client, path: str, content: bytes | None, message: str
) -> None:
    repo = pushed.server.store.repos[SFT]
    kept = {name: blob for name, blob in repo.files.items() if name != path}
    repo.commit(kept if content is None else kept | {path: small_blob(content)})
    assert message in pushed.fails(pull_command(pushed.home / "pulled", "mulfact"), READER)
    assert not list((pushed.home / "pulled").rglob("*.bin"))


@pytest.mark.parametrize(
    ("scale", "arm", "token", "message"),
    [
        ("smoke", "mulfact", None, "does not accept the token (401"),  # private, and nobody is logged in
        ("smoke", "mulfact", "hf_wrong", "does not accept the token (401"),
        ("smoke", "placebo", READER, "covers the arms baseline, mulfact with seeds 0, not placebo with seed 0"),
        ("pilot", "mulfact", READER, "nothing is there, or the token may not read it (404"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(
    pushed: Client, scale: str, arm: str, token: str | None, message: str
) -> None:
    told = pushed.fails(pull_command(pushed.home / "pulled", arm, scale=scale), token)
    assert message in told
    assert told.count("\n") == 1


def test_a_tag_names_the_revision_that_is_pulled(pushed: Client) -> None:
    repo = pushed.server.store.repos[SFT]
    repo.commit(repo.files | {"tokenizer.json": small_blob(b"{}")})  # after the tag was set
    (tag,) = repo.tags
    pushed.server.faults.append(Fault(r"GET /api/models/.*-grpo/revision", times=99, status=403))  # far enough
    result = pushed.run([*pull_command(pushed.home / "pulled", "mulfact"), "--revision", tag], READER)
    assert "mulfact-seed0-sft: " in result.stdout
    assert "the token may not do this (403" in result.stderr


def test_an_experiment_whose_gate_stopped_grpo_goes_to_the_hub_and_back(hub: Client) -> None:
    hub.succeeds(push_command(write_release(hub.home / "outputs", gated=True)))
    names = {name for kind, name in hub.server.store.repos if kind == "model" and "seed" in name}
    stages = ("pretrain", "sft")
    assert names == {f"{ORG}/mulfact-smoke-{arm}-seed0-{stage}" for arm in ("baseline", "mulfact") for stage in stages}
    printed = hub.succeeds(pull_command(hub.home / "pulled", "mulfact"), READER)
    assert "4 of 4 accuracies are the published ones" in printed
