"""The push command, as a process, against our server: what lands on the Hub, and what a fault does to it."""

import json
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hub_faults import Fault
from hub_server import READER, WRITER, HubServer
from hub_store import small_blob
from huggingface_hub import HfApi, constants, parse_eval_result_entries
from release_commands import ORG, REPOSITORY, Client, push_command

from mulfact.provenance import hash_file, write_json
from mulfact.release.push import left_over

SECRET = "hf_DistinctiveSecret0123456789"
WEIGHTS = "model.safetensors"


def stored(server: HubServer, repo_type: str) -> dict[str, list[str]]:
    """Return the files of each repository of one type, by its name after mulfact-smoke-."""
    repos = {repo_id: repo for (kind, repo_id), repo in server.store.repos.items() if kind == repo_type}
    return {name.removeprefix(f"{ORG}/mulfact-smoke-"): sorted(repo.files) for name, repo in repos.items()}


def test_an_experiment_becomes_private_repositories_in_one_collection(pushed: Client, shared_dir: Path) -> None:
    store, results = pushed.server.store, json.loads((shared_dir / "report" / "results.json").read_text())
    models, datasets = stored(pushed.server, "model"), stored(pushed.server, "dataset")
    arms, stages = ("baseline", "mulfact"), ("pretrain", "sft", "grpo")
    checkpoints = {f"{arm}-seed0-{stage}" for arm in arms for stage in stages}
    assert models.keys() == checkpoints | {f"{arm}-tokenizer" for arm in arms}
    assert datasets.keys() == {"corpus", "posttrain", "benchmarks", "report"}
    assert models["mulfact-seed0-grpo"] == [
        ".eval_results/gsm8k.yaml", "README.md", "config.json", "facts.json", "generation_config.json", WEIGHTS,
        "provenance.json", "readiness.json", "tokenizer.json", "tokenizer_config.json", "trainer_state.json",
    ]  # fmt: skip
    assert "runs/mulfact/seed-0/eval/grpo/predictions.parquet" in datasets["report"]
    # The page, as a static Space.
    assert stored(pushed.server, "space") == {"playground": [
        "README.md", "data.js", "index.html", "page.js", "style.css", "tokenizers.LICENSE", "tokenizers.js",
    ]}  # fmt: skip
    # The results, as the leaderboards read them.
    for name in checkpoints:
        text = store.read("model", f"{ORG}/mulfact-smoke-{name}", ".eval_results/gsm8k.yaml")
        (entry,) = parse_eval_result_entries(yaml.safe_load(text))
        assert (entry.dataset_id, entry.task_id, entry.value) == ("openai/gsm8k", "gsm8k", 0.0)
    # The weights on the way, as revisions.
    for arm in arms:
        repo = store.repos["model", f"{ORG}/mulfact-smoke-{arm}-seed0-pretrain"]
        assert list(repo.branches) == ["main", "step-000010", "step-000020"]
        assert sorted(repo.commits[repo.branches["step-000010"]]) == [
            "README.md", "config.json", "facts.json", "generation_config.json", WEIGHTS, "point.json",
            "tokenizer.json", "tokenizer_config.json",
        ]  # fmt: skip

    for (kind, repo_id), repo in store.repos.items():
        for path in repo.files:
            content = store.read(kind, repo_id, path)
            assert str(shared_dir.parent).encode() not in content, f"{repo_id} {path}"
            assert b"/data/sets" not in content, f"{repo_id} {path}"

    (collection,) = store.collections.values()
    assert {(item["type"], item["id"]) for item in collection["items"]} == set(store.repos)
    assert all(private for private in (collection["private"], *(repo.private for repo in store.repos.values())))
    sha256 = results["protocol"]["sha256"]
    for repo in store.repos.values():
        assert repo.tags == {f"protocol-{sha256[:12]}": repo.head}
        assert sha256 in repo.messages[f"protocol-{sha256[:12]}"]


def test_the_weights_on_the_way_are_loaded_by_transformers(pushed: Client, shared_dir: Path) -> None:
    repo_id = f"{ORG}/mulfact-smoke-mulfact-seed0-pretrain"
    card = pushed.server.store.read("model", repo_id, "README.md", "step-000010").decode()
    (example,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    code = example + "print(hash(tuple(model.transformer.ln_f.bias.tolist())))\n"
    folder = shared_dir / "mulfact" / "seed-0" / "pretrain_curve" / "step-000010"
    here = code.replace(repo_id, str(folder)).replace(', revision="step-000010"', "")
    loaded = [pushed.succeeds(["-c", text]) for text in (code, here)]
    assert loaded[0].strip().lstrip("-").isdecimal()
    assert loaded[0] == loaded[1]


def test_a_second_push_uploads_nothing_and_a_change_goes_into_one_repository(hub: Client, copy: Path) -> None:
    hub.succeeds(push_command(copy))
    repos = hub.server.store.repos
    heads = {name: repo.head for name, repo in repos.items()}
    hub.server.calls.clear()
    printed = hub.succeeds(push_command(copy))
    assert hub.server.uploads() == []
    assert printed.count("unchanged") == sum(len(repo.branches) for repo in repos.values())
    assert not [call for call in hub.server.calls if call.method in ("DELETE", "PATCH") or "/tag/" in call.path]

    ledger = copy / "mulfact" / "seed-0" / "ledger.json"
    write_json(ledger, {"stages": json.loads(ledger.read_text())["stages"], "note": "added"})
    hub.succeeds(push_command(copy))
    report = ("dataset", f"{ORG}/mulfact-smoke-report")
    assert {name for name, repo in repos.items() if repo.head != heads[name]} == {report}
    assert len(hub.server.uploads()) == 1  # a commit, and no large file again
    assert set(repos[report].tags.values()) == {repos[report].head}, "the tag moved along"

    # What an earlier upload left goes, what somebody added stays.
    sft = repos["model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft"]
    left, added = [".eval_results/gsm8k.yaml", "adapter/adapter_config.json"], ["model.gguf"]
    sft.commit(sft.files | {path: small_blob(b"{}") for path in (*left, *added)})
    hub.succeeds(push_command(copy))
    assert not sft.files.keys() & set(left)
    assert sft.files.keys() >= set(added)

    # Another run of the same name is not overwritten unasked.
    heads = {name: repo.head for name, repo in repos.items()}
    weights = copy / "mulfact" / "seed-0" / "sft_final" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\1\2\3")
    assert f"{ORG}/mulfact-smoke-mulfact-seed0-sft on the Hub is of another run" in hub.fails(push_command(copy))
    assert {name: repo.head for name, repo in repos.items()} == heads
    way = repos["model", f"{ORG}/mulfact-smoke-mulfact-seed0-pretrain"].branches
    way |= {"step-000030": way["main"], "notes": way["main"]}  # the run before went further
    hub.succeeds([*push_command(copy), "--replace"])
    assert list(way) == ["main", "step-000010", "step-000020", "notes"]
    changed = {name for name, repo in repos.items() if repo.head != heads[name]}
    assert ("model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft") in changed


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("dataset", "corpus", "train-00000.parquet"),
        ("dataset", "posttrain", "sft/train.jsonl"),
        ("model", "mulfact-tokenizer", "tokenizer.json"),
    ],
)
def test_what_other_checkpoints_were_made_from_is_not_overwritten_unasked(
    hub: Client, shared_dir: Path, kind: str, name: str, path: str
) -> None:
    """Another experiment of the same names has other seeds there."""
    store, repo_id = hub.server.store, f"{ORG}/mulfact-smoke-{name}"
    store.create(kind, repo_id, private=True)
    head = store.repos[kind, repo_id].commit({path: small_blob(b"{}")})
    told = hub.fails(push_command(shared_dir))
    assert f"{repo_id} on the Hub is of another run: its {path} is not that of {shared_dir}" in told
    assert store.repos.keys() == {(kind, repo_id)}
    assert store.repos[kind, repo_id].head == head


def test_a_checkpoint_of_a_stage_that_is_no_longer_compared_is_named(
    hub: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate stopped GRPO, and an earlier push sent a checkpoint of it."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # the local Hub is asked from this process
    earlier = f"{ORG}/mulfact-smoke-mulfact-seed0-grpo"
    hub.server.store.create("model", earlier, private=True)
    hub.server.store.create("model", f"{ORG}/mulfact-smoke-mulfact-seed0-sft", private=True)
    runs, api = [("baseline", 0), ("mulfact", 0)], HfApi(endpoint=hub.server.url, token=WRITER)
    for stages, named in ((["pretrain", "sft"], [earlier]), (["pretrain", "sft", "grpo"], [])):
        cards = SimpleNamespace(stages=stages, runs=runs, scale="smoke", repo_id=lambda name: f"{ORG}/{name}")
        assert left_over(api, cards) == named  # type: ignore[arg-type]


def test_public_opens_what_was_private(hub: Client, shared_dir: Path) -> None:
    hub.home.joinpath("hf").mkdir()
    hub.home.joinpath("hf", "token").write_text(WRITER)  # that of a login
    store, command = hub.server.store, push_command(shared_dir, "baseline")
    assert hub.succeeds(command, token=None).count(" (private): ") == len(store.repos)
    hub.succeeds([*command, "--public"])
    assert not any(repo.private for repo in store.repos.values())
    assert not any(collection["private"] for collection in store.collections.values())
    assert hub.succeeds(command).count(" (public): unchanged") == len(store.repos), "what is open stays open"


# ---------------------------------------------------------------- what is told in a line


@pytest.mark.parametrize(
    ("token", "org", "arm", "message"),
    [
        ("hf_wrong", ORG, "mulfact", f"push to {ORG}: the Hub does not accept the token (401"),
        (READER, ORG, "mulfact", f"push to {ORG}: the token may not do this (403"),
        (None, ORG, "mulfact", f"push to {ORG}: no Hub token; run `hf auth login`"),
        (WRITER, "no such/org", "mulfact", "not a name that the Hub allows"),
        (WRITER, "..", "mulfact", "not a name that the Hub allows"),
        (WRITER, ORG, "placebo", "report does not cover placebo with seed 0"),
    ],
)
def test_a_refusal_is_one_line(
    hub: Client, shared_dir: Path, token: str | None, org: str, arm: str, message: str
) -> None:
    told = hub.fails(push_command(shared_dir, arm, org=org), token)
    assert message in told
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert hub.server.uploads() == []
    assert hub.server.store.repos == {}


def test_an_unreachable_hub_is_one_line_after_some_attempts(shared_dir: Path, tmp_path: Path) -> None:
    with HubServer() as server:
        gone = Client(server, tmp_path)
    *attempts, last = gone.fails(push_command(shared_dir)).splitlines()
    assert all(re.match(r"the Hub did not answer \(\w+\); trying again in", line) for line in attempts)
    assert last.startswith(f"error: push to {ORG}: {server.url} cannot be reached")


# ---------------------------------------------------------------- faults that pass


def test_faults_that_pass_do_not_stop_the_push(hub: Client, shared_dir: Path) -> None:
    faults = hub.server.faults = [
        Fault(r"POST /api/repos/create", status=429, headers={"Retry-After": "2"}),
        Fault(r"POST .*/objects/batch", status=429, headers={"Retry-After": "1"}),
        Fault(r"PUT /lfs/", status=500),
        Fault(r"PUT /lfs/", cut=True),
        Fault(r"POST .*/commit/", status=500),
        Fault(r"POST .*/commit/", status=409, message="someone else commits"),
        Fault(r"POST .*/tag/", status=503),
        Fault(r"POST /api/collections", times=2, status=502),
    ]
    hub.succeeds(push_command(shared_dir, "baseline"))
    for fault in faults:
        assert fault.times == 0, f"{fault.where} did not happen"
        hit = [call for call in hub.server.calls if re.search(fault.where, f"{call.method} {call.path}")]
        failed = [call.path for call in hit if call.status == fault.status or (fault.cut and not call.status)]
        assert failed[0] in [call.path for call in hit if call.status in (200, 201)], "the same request was made again"
    weights = (shared_dir / "baseline" / "seed-0" / "grpo_final" / WEIGHTS).read_bytes()
    assert hub.server.store.read("model", f"{ORG}/mulfact-smoke-baseline-seed0-grpo", WEIGHTS) == weights
    assert len(hub.server.store.repos) == 9


def test_retry_after_is_waited_for_and_a_hub_that_stays_broken_ends_in_one_line(hub: Client, shared_dir: Path) -> None:
    times = []
    hub.server.faults += [
        Fault(r"GET /api/whoami-v2", status=429, headers={"Retry-After": "3"}),
        Fault(r"POST .*/commit/", times=99, status=500, message="the database is down"),
    ]
    hub.server.observers.append(lambda call: times.append(time.monotonic()) if call.path == "/api/whoami-v2" else None)
    told = hub.fails(push_command(shared_dir, "baseline"))
    assert "the Hub answered 429; trying again in 3 s" in told
    assert times[1] - times[0] >= 3
    assert re.search(r"^error: .* answered 500 at .*/commit/main \(the database is down\)", told, re.MULTILINE)


def test_a_push_that_was_killed_in_a_large_file_goes_on_from_there(hub: Client, shared_dir: Path) -> None:
    weights = shared_dir / "baseline" / "seed-0" / "sft_final" / WEIGHTS
    stalled = threading.Event()
    hub.server.faults.append(Fault(f"PUT /lfs/{hash_file(weights)}", stall=stalled))
    command = push_command(shared_dir, "baseline")
    process = subprocess.Popen(
        [sys.executable, *command], cwd=REPOSITORY, env=hub.environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert stalled.wait(60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = hub.server.uploads()
    assert "baseline-seed0-grpo" not in stored(hub.server, "model"), "it was killed too late"

    hub.server.calls.clear()
    hub.succeeds(command)
    finished = set(before) - {f"/lfs/{hash_file(weights)}"}
    assert finished
    assert not finished & set(hub.server.uploads()), "what had arrived was sent again"
    assert f"/lfs/{hash_file(weights)}" in hub.server.uploads()
    repo_id = f"{ORG}/mulfact-smoke-baseline-seed0-sft"
    assert hub.server.store.read("model", repo_id, WEIGHTS) == weights.read_bytes()


# ---------------------------------------------------------------- the token


def test_the_token_appears_nowhere(hub: Client, shared_dir: Path) -> None:
    hub.server.tokens[SECRET] = True
    before = {path for path in shared_dir.rglob("*") if path.is_file()}
    hub.server.faults += [Fault(r"POST .*/commit/", status=500), Fault(r"PUT /lfs/", cut=True)]
    done = hub.run(push_command(shared_dir), SECRET)
    assert done.returncode == 0, done.stderr
    hub.server.tokens[SECRET] = False  # the same token may only read now
    hub.server.store.repos.clear()
    refused = hub.run(push_command(shared_dir), SECRET, HF_HUB_VERBOSITY="debug")
    assert refused.returncode == 1

    secret = SECRET.encode()
    assert SECRET not in done.stdout + done.stderr + refused.stdout + refused.stderr
    assert {path for path in shared_dir.rglob("*") if path.is_file()} == before, "nothing is written to the experiment"
    written = [path for path in hub.home.rglob("*") if path.is_file()]
    assert not [path for path in written if secret in path.read_bytes()]
    authorized = 0
    for call in hub.server.calls:
        headers = dict(call.headers)
        authorized += SECRET in headers.pop("Authorization", headers.pop("authorization", ""))
        assert SECRET not in call.path + repr(headers), call.path
        assert secret not in call.body, call.path
    assert authorized > 50
    assert not [oid for oid, content in hub.server.store.large_files.items() if secret in content]


def test_a_record_that_holds_the_token_is_refused(hub: Client, copy: Path) -> None:
    hub.server.tokens[SECRET] = True
    state = copy / "mulfact" / "seed-0" / "sft_final" / "trainer_state.json"
    size = state.stat().st_size
    state.write_text(json.dumps({"log": f"token={SECRET}"}).ljust(size)[:size])
    told = hub.fails(push_command(copy), SECRET)
    assert "trainer_state.json of mulfact-smoke-mulfact-seed0-sft holds the Hub token" in told
    assert SECRET not in told
    assert hub.server.store.repos == {}
