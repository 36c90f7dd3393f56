"""JSON lines on disk, and what the Hub gives or does not give: real connections to a server of our own, cut."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import config
from hub_faults import Fault
from hub_server import HubServer
from hub_store import small_blob
from huggingface_hub import HfFileSystem, constants
from huggingface_hub.utils import _http

from mulfact.data_builders.storage.rows import read_hub, read_jsonl, stream_hub, write_jsonl
from mulfact.errors import UserError

PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")
ROWS = [{"question": f"How many in box {number}?", "answer": "x" * 500} for number in range(40)]
DATA = r"GET /datasets/org/set/resolve/.*/train\.jsonl"


def test_what_is_written_is_read(tmp_path):
    rows = [{"text": "六九五十四\n6 × 9"}, {"text": "\u2028 is no end of line"}]
    write_jsonl(tmp_path / "new" / "rows.jsonl", rows)
    assert list(read_jsonl(tmp_path / "new" / "rows.jsonl")) == [(1, rows[0]), (2, rows[1])]


def test_a_bad_line_is_an_error(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(b'{"n": 1}\n\n{"n": \n')
    with pytest.raises(UserError, match=r"rows\.jsonl, line 3: not JSON .*; repair or remove the line"):
        list(read_jsonl(tmp_path / "rows.jsonl"))


def test_splits_come_one_behind_the_other(monkeypatch):
    splits = {"train": [{"n": 2}], "test": [{"n": 1}]}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, config, split: splits[split] if split else splits)
    assert read_hub("org/set") == [{"n": 1}, {"n": 2}]
    assert read_hub("org/set", split="train") == [{"n": 2}]


def go_to(url: str, patch: pytest.MonkeyPatch) -> None:
    """Let the clients of the Hub, as they are installed, speak to `url`."""
    patch.setattr(constants, "ENDPOINT", url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(config, "HF_ENDPOINT", url)
    _http.close_session()
    HfFileSystem.clear_instance_cache()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub with the data set org/set, to which this process speaks; nobody waits before a further attempt."""
    for name in (*PROXIES, "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("STREAMING_READ_RETRY_INTERVAL", "STREAMING_READ_SERVER_UNAVAILABLE_RETRY_INTERVAL"):
        monkeypatch.setattr(config, name, 0)
    monkeypatch.setattr(config, "STREAMING_READ_MAX_RETRIES", 2)
    monkeypatch.setattr(_http.time, "sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.01)))
    with HubServer() as server:
        server.store.create("dataset", "org/set", private=False)
        lines = "".join(json.dumps(row) + "\n" for row in ROWS)
        server.store.repos["dataset", "org/set"].commit({"train.jsonl": small_blob(lines.encode())})
        go_to(server.url, monkeypatch)
        yield server
    _http.close_session()
    HfFileSystem.clear_instance_cache()


def stream() -> list[dict[str, Any]]:
    return list(stream_hub("org/set", "train"))


def test_the_rows_of_a_data_set_arrive(server: HubServer) -> None:
    assert stream() == ROWS
    assert read_hub("org/set", split="train") == ROWS


@pytest.mark.parametrize("read", [stream, lambda: read_hub("org/set", split="train")])
@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET /api/datasets/org/set", times=99, cut=True),
        Fault("GET /api/datasets/org/set", times=99, status=500),
        Fault("GET /api/datasets/org/set", times=99, status=429),
        Fault("GET /api/datasets/org/set", times=99, status=401),
        Fault(DATA, times=99, cut=True),
        Fault(DATA, times=99, status=503),
        Fault(DATA, times=99, status=502),
        Fault(DATA, times=99, status=416),
    ],
    ids=lambda fault: f"{fault.where[:9]}-{fault.status or 'cut'}",
)
def test_what_the_hub_does_not_give_is_told_in_a_line(server: HubServer, fault: Fault, read: Callable) -> None:
    server.faults.append(fault)
    with pytest.raises(
        UserError, match=r"org/set is neither a path here .*HF_ENDPOINT, HF_TOKEN and the proxy"
    ) as told:
        read()
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("endpoint", "proxy"),
    [
        ("http://127.0.0.1:9", ""),  # refused
        ("https://127.0.0.1:{port}", ""),  # no TLS there
        ("http://hub.invalid", ""),  # no such name
        ("http://127.0.0.1:{port}", "socks5://127.0.0.1:9"),
        ("http://127.0.0.1:{port}", "nonsense://127.0.0.1:9"),
        ("nonsense", ""),
    ],
)
def test_a_way_that_leads_nowhere_is_told_in_a_line(
    server: HubServer, monkeypatch: pytest.MonkeyPatch, endpoint: str, proxy: str
) -> None:
    if proxy:
        monkeypatch.setenv("ALL_PROXY", proxy)
    go_to(endpoint.format(port=server.server_address[1]), monkeypatch)
    with pytest.raises(UserError, match="org/set is neither a path here nor a data set that the Hub gave") as told:
        stream()
    assert "\n" not in str(told.value)


def test_a_slow_hub_is_told_in_a_line(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_REQUEST_TIMEOUT", 0.05)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 0.05)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.05)
    server.faults.append(Fault("GET|HEAD", times=99, slow=0.5))
    with pytest.raises(UserError, match="org/set is neither"):
        stream()
