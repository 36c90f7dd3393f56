"""The push command, as a process, against our server: what lands on the Hub, and what a fault does to it."""

import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hub_faults import Fault
from hub_server import READER, WRITER, HubServer
from release_commands import ORG, REPOSITORY, environment, push, push_command, run
from release_folders import write_release

from mulfact.provenance import hash_file, write_json

pytestmark = pytest.mark.xdist_group("push")  # one experiment for all of them

SECRET = "hf_DistinctiveSecret0123456789"


@pytest.fixture(scope="module")
def shared_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_release(tmp_path_factory.mktemp("experiment") / "outputs")


@pytest.fixture
def server():
    with HubServer() as server:
        yield server


def stored(server: HubServer) -> dict[str, list[str]]:
    return {repo_id: sorted(repo.files) for (_, repo_id), repo in server.store.repos.items()}


def test_an_experiment_becomes_private_repositories_in_one_collection(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    push(server, tmp_path, shared_dir)
    repos = server.store.repos
    models = {
        f"{ORG}/mulfact-smoke-{arm}-seed0-{stage}"
        for arm in ("baseline", "mulfact")
        for stage in ("pretrain", "sft", "grpo")
    } | {f"{ORG}/mulfact-smoke-{arm}-tokenizer" for arm in ("baseline", "mulfact")}
    datasets = {f"{ORG}/mulfact-smoke-{kind}" for kind in ("corpus", "posttrain", "benchmarks", "report")}
    assert {name for kind, name in repos if kind == "model"} == models
    assert {name for kind, name in repos if kind == "dataset"} == datasets
    assert {name for kind, name in repos if kind == "space"} == {f"{ORG}/mulfact-smoke-playground"}
    assert all(repo.private for repo in repos.values())
    files = stored(server)
    assert files[f"{ORG}/mulfact-smoke-mulfact-seed0-grpo"] == [
        "README.md", "config.json", "facts.json", "generation_config.json", "model.safetensors", "provenance.json",
        "readiness.json", "tokenizer.json", "tokenizer_config.json", "trainer_state.json",
    ]  # fmt: skip
    assert files[f"{ORG}/mulfact-smoke-playground"] == [
        "README.md", "data.js", "index.html", "page.js", "style.css", "tokenizers.LICENSE", "tokenizers.js",
    ]  # fmt: skip
    assert "runs/mulfact/seed-0/eval/grpo/predictions.parquet" in files[f"{ORG}/mulfact-smoke-report"]

    for (kind, repo_id), repo in repos.items():
        for path in repo.files:
            content = server.store.read(kind, repo_id, path)
            assert str(shared_dir.parent).encode() not in content, f"{repo_id} {path}"
            assert b"/data/sets" not in content, f"{repo_id} {path}"

    (collection,) = server.store.collections.values()
    assert collection["private"]
    assert {(item["type"], item["id"]) for item in collection["items"]} == set(repos)
    sha256 = json.loads((shared_dir / "report" / "results.json").read_text())["protocol"]["sha256"]
    for repo in repos.values():
        assert repo.tags == {f"protocol-{sha256[:12]}": repo.head}
        assert sha256 in repo.messages[f"protocol-{sha256[:12]}"]


def test_the_weights_on_the_way_are_revisions_that_transformers_loads(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    push(server, tmp_path, shared_dir, "mulfact")
    repo_id = f"{ORG}/mulfact-smoke-mulfact-seed0-pretrain"
    repo = server.store.repos["model", repo_id]
    assert list(repo.branches) == ["main", "step-000010", "step-000020"]
    assert sorted(repo.commits[repo.branches["step-000010"]]) == [
        "README.md", "config.json", "facts.json", "generation_config.json", "model.safetensors", "point.json",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    card = server.store.read("model", repo_id, "README.md", "step-000010").decode()
    (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    code = example + "print(hash(tuple(model.transformer.ln_f.bias.tolist())))\n"
    folder = shared_dir / "mulfact" / "seed-0" / "pretrain_curve" / "step-000010"
    here = code.replace(repo_id, str(folder)).replace(', revision="step-000010"', "")
    loaded = [run(["-c", text], environment(server, tmp_path)).stdout for text in (code, here)]
    assert loaded[0].strip().lstrip("-").isdecimal()
    assert loaded[0] == loaded[1]


def test_a_second_push_uploads_nothing_and_a_change_goes_into_one_repository(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "outputs" / "smoke"
    shutil.copytree(shared_dir, copy)
    push(server, tmp_path, copy)
    heads = {name: repo.head for name, repo in server.store.repos.items()}
    server.calls.clear()
    printed = push(server, tmp_path, copy)
    assert server.uploads() == []
    assert printed.count("unchanged") == sum(len(repo.branches) for repo in server.store.repos.values())
    assert not [call for call in server.calls if call.method in ("DELETE", "PATCH") or "/tag/" in call.path]

    ledger = copy / "mulfact" / "seed-0" / "ledger.json"
    write_json(ledger, {"stages": json.loads(ledger.read_text())["stages"], "note": "added"})
    push(server, tmp_path, copy)
    report = ("dataset", f"{ORG}/mulfact-smoke-report")
    changed = {name for name, repo in server.store.repos.items() if repo.head != heads[name]}
    assert changed == {report}
    assert len(server.uploads()) == 1  # a commit, and no large file again
    assert set(server.store.repos[report].tags.values()) == {server.store.repos[report].head}, "the tag moved along"


def test_another_run_of_the_same_name_is_not_overwritten_unasked(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    push(server, tmp_path, shared_dir)
    heads = {name: repo.head for name, repo in server.store.repos.items()}
    copy = tmp_path / "outputs" / "smoke"
    shutil.copytree(shared_dir, copy)
    weights = copy / "mulfact" / "seed-0" / "sft_final" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\1\2\3")
    result = run(push_command(copy), environment(server, tmp_path))
    assert result.returncode == 1
    assert f"{ORG}/mulfact-smoke-mulfact-seed0-sft on the Hub holds another run" in result.stderr
    assert {name: repo.head for name, repo in server.store.repos.items()} == heads
    replaced = run([*push_command(copy), "--replace"], environment(server, tmp_path))
    assert replaced.returncode == 0, replaced.stderr
    changed = {name for name, repo in server.store.repos.items() if repo.head != heads[name]}
    assert ("model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft") in changed


def test_public_opens_what_was_private(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    push(server, tmp_path, shared_dir, "baseline")
    push(server, tmp_path, shared_dir, "baseline", public=True)
    assert not any(repo.private for repo in server.store.repos.values())
    assert not any(collection["private"] for collection in server.store.collections.values())
    again = push(server, tmp_path, shared_dir, "baseline")
    assert again.count(" (public): unchanged") == len(server.store.repos), "what is open stays open, and is said to be"


def test_the_token_of_a_login_is_used(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    variables = environment(server, tmp_path, token=None)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "token").write_text(WRITER)
    result = run(push_command(shared_dir, "baseline"), variables)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(" (private): ") == len(server.store.repos)


# ---------------------------------------------------------------- what is told in a line


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("hf_wrong", "does not accept the token (401"),
        (READER, "may not do this (403"),
        (None, "no Hub token; run `hf auth login`"),
    ],
)
def test_a_refusal_is_one_line(
    server: HubServer, shared_dir: Path, tmp_path: Path, token: str | None, message: str
) -> None:
    result = run(push_command(shared_dir), environment(server, tmp_path, token))
    assert result.returncode == 1
    assert message in result.stderr
    assert result.stderr.startswith(f"error: push to {ORG}: ")
    assert result.stderr.count("\n") == 1
    assert server.uploads() == []


def test_an_unreachable_hub_is_one_line_after_some_attempts(shared_dir: Path, tmp_path: Path) -> None:
    with HubServer() as server:
        variables = environment(server, tmp_path)
    result = run(push_command(shared_dir), variables)
    assert result.returncode == 1
    *attempts, last = result.stderr.splitlines()
    assert all(re.match(r"the Hub did not answer \(\w+\); trying again in", line) for line in attempts)
    assert last.startswith(f"error: push to {ORG}: {variables['HF_ENDPOINT']} cannot be reached")


@pytest.mark.parametrize(
    ("org", "message"), [("no such/org", "not a name that the Hub allows"), ("..", "not a name that the Hub allows")]
)
def test_an_impossible_name_is_one_line(
    server: HubServer, shared_dir: Path, tmp_path: Path, org: str, message: str
) -> None:
    command = push_command(shared_dir)
    command[command.index(ORG)] = org
    result = run(command, environment(server, tmp_path))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert message in result.stderr


def test_a_run_that_the_report_does_not_cover_is_refused_before_anything_is_sent(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    result = run(push_command(shared_dir, "placebo"), environment(server, tmp_path))
    assert result.returncode == 1
    assert "the report does not cover placebo with seed 0" in result.stderr.replace(
        f"{shared_dir}/report", "the report"
    )
    assert server.store.repos == {}


# ---------------------------------------------------------------- faults that pass


@pytest.mark.parametrize(
    "fault",
    [
        Fault(r"POST /api/repos/create", status=429, headers={"Retry-After": "2"}),
        Fault(r"POST .*/commit/", status=500),
        Fault(r"POST .*/commit/", status=409, message="someone else commits"),
        Fault(r"POST .*/tag/", status=503),
        Fault(r"POST /api/collections", times=2, status=502),
        Fault(r"PUT /lfs/", status=500),
        Fault(r"PUT /lfs/", cut=True),
        Fault(r"POST .*/objects/batch", status=429, headers={"Retry-After": "1"}),
    ],
    ids=lambda fault: f"{fault.where}-{fault.status or 'cut'}",
)
def test_a_fault_that_passes_does_not_stop_the_push(
    server: HubServer, shared_dir: Path, tmp_path: Path, fault: Fault
) -> None:
    server.faults.append(Fault(**vars(fault)))
    push(server, tmp_path, shared_dir, "baseline")
    assert server.faults[0].times == 0, "the fault did not happen"
    hit = [call for call in server.calls if re.search(fault.where, f"{call.method} {call.path}")]
    assert hit[0].path in [call.path for call in hit[fault.times :]], "the same request was made again"
    weights = shared_dir / "baseline" / "seed-0" / "grpo_final" / "model.safetensors"
    assert server.store.read("model", f"{ORG}/mulfact-smoke-baseline-seed0-grpo", "model.safetensors") == (
        weights.read_bytes()
    )
    assert len(server.store.repos) == 9


def test_retry_after_is_waited_for(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    times = []
    server.faults.append(Fault(r"GET /api/whoami-v2", status=429, headers={"Retry-After": "3"}))
    server.observers.append(lambda call: times.append(time.monotonic()) if call.path == "/api/whoami-v2" else None)
    result = run(push_command(shared_dir, "baseline"), environment(server, tmp_path))
    assert "the Hub answered 429; trying again in 3 s" in result.stderr
    assert times[1] - times[0] >= 3


def test_a_hub_that_stays_broken_ends_in_one_line(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    server.faults.append(Fault(r"POST .*/commit/", times=99, status=500, message="the database is down"))
    result = run(push_command(shared_dir, "baseline"), environment(server, tmp_path))
    assert result.returncode == 1
    assert re.search(r"^error: .* answered 500 at .*/commit/main \(the database is down\)", result.stderr, re.MULTILINE)
    assert "Traceback" not in result.stderr


def test_a_push_that_was_killed_in_a_large_file_goes_on_from_there(
    server: HubServer, shared_dir: Path, tmp_path: Path
) -> None:
    weights = shared_dir / "baseline" / "seed-0" / "sft_final" / "model.safetensors"
    stalled = threading.Event()
    server.faults.append(Fault(f"PUT /lfs/{hash_file(weights)}", stall=stalled))
    process = subprocess.Popen(
        [sys.executable, *push_command(shared_dir, "baseline")], cwd=REPOSITORY, env=environment(server, tmp_path),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert stalled.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = server.uploads()
    assert f"{ORG}/mulfact-smoke-baseline-seed0-grpo" not in stored(server), "it was killed too late"

    server.calls.clear()
    push(server, tmp_path, shared_dir, "baseline")
    finished = set(before) - {f"/lfs/{hash_file(weights)}"}
    assert finished
    assert not finished & set(server.uploads()), "what had arrived was sent again"
    assert f"/lfs/{hash_file(weights)}" in server.uploads()
    assert server.store.read("model", f"{ORG}/mulfact-smoke-baseline-seed0-sft", "model.safetensors") == (
        weights.read_bytes()
    )


# ---------------------------------------------------------------- the token


def test_the_token_appears_nowhere(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    server.tokens[SECRET] = True
    before = {path for path in shared_dir.rglob("*") if path.is_file()}
    server.faults += [Fault(r"POST .*/commit/", status=500), Fault(r"PUT /lfs/", cut=True)]
    done = run(push_command(shared_dir), environment(server, tmp_path, SECRET))
    assert done.returncode == 0, done.stderr
    server.tokens[SECRET] = False  # the same token may only read now
    server.store.repos.clear()
    refused = run(push_command(shared_dir), environment(server, tmp_path, SECRET) | {"HF_HUB_VERBOSITY": "debug"})
    assert refused.returncode == 1

    secret = SECRET.encode()
    assert SECRET not in done.stdout + done.stderr + refused.stdout + refused.stderr
    assert {path for path in shared_dir.rglob("*") if path.is_file()} == before, "nothing is written to the experiment"
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in written if secret in path.read_bytes()]
    authorized = 0
    for call in server.calls:
        headers = dict(call.headers)
        authorized += SECRET in headers.pop("Authorization", headers.pop("authorization", ""))
        assert SECRET not in call.path + repr(headers), call.path
        assert secret not in call.body, call.path
    assert authorized > 50
    assert not [oid for oid, content in server.store.large_files.items() if secret in content]


def test_a_record_that_holds_the_token_is_refused(server: HubServer, shared_dir: Path, tmp_path: Path) -> None:
    server.tokens[SECRET] = True
    copy = tmp_path / "outputs" / "smoke"
    shutil.copytree(shared_dir, copy)
    state = copy / "mulfact" / "seed-0" / "sft_final" / "trainer_state.json"
    size = state.stat().st_size
    state.write_text(json.dumps({"log": f"token={SECRET}"}).ljust(size)[:size])
    result = run(push_command(copy), environment(server, tmp_path, SECRET))
    assert result.returncode == 1
    assert "trainer_state.json of mulfact-smoke-mulfact-seed0-sft holds the Hub token" in result.stderr
    assert SECRET not in result.stderr
    assert server.store.repos == {}
