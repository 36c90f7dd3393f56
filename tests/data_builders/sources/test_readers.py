"""Streams over a network that fails: lost connections are found again and counted, or end the build with a message."""

import itertools
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mulfact.data_builders.sources.files import Row
from mulfact.data_builders.sources.readers import SourceReader
from mulfact.data_builders.sources.settings import SourceSettings
from mulfact.errors import UserError

ROWS = 3000
WEB = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: {url}
---
"""


class Server(ThreadingHTTPServer):
    """Serves one Parquet file by ranges, and cuts the next `failures` answers short once the data set is open."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.failures, self.requests = content, 0, itertools.count(1)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()

    def do_GET(self) -> None:
        size = len(self.server.content)
        first, last = self.headers.get("Range", f"bytes=0-{size - 1}").removeprefix("bytes=").split("-")
        body = self.server.content[int(first) : int(last or size - 1) + 1]
        if next(self.server.requests) > 3 and self.server.failures > 0:
            self.server.failures -= 1
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(206)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Range", f"bytes {first}-{int(first) + len(body) - 1}/{size}")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    rows = [f"Document {number}: {'word ' * 60}" for number in range(ROWS)]
    pq.write_table(pa.table({"text": rows}), tmp_path / "a.parquet", row_group_size=200, compression="none")
    server = Server((tmp_path / "a.parquet").read_bytes())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def settings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SourceSettings:
    from datasets import config

    monkeypatch.setattr(config, "STREAMING_READ_RETRY_INTERVAL", 0.01)
    monkeypatch.setattr(config, "STREAMING_READ_MAX_RETRIES", 4)
    (tmp_path / "web").mkdir()
    url = f"http://127.0.0.1:{server.server_address[1]}/a.parquet"
    (tmp_path / "web" / "README.md").write_text(WEB.format(url=url))
    return SourceSettings("web", 1.0, dataset=str(tmp_path / "web"))


def test_lost_connections_are_found_again_and_counted(server: Server, settings: SourceSettings) -> None:
    server.failures = 2
    reader = SourceReader(settings, None)
    texts = [record.columns["text"] for record in reader if isinstance(record, Row)]
    assert [text.partition(":")[0] for text in texts] == [f"Document {number}" for number in range(ROWS)]
    assert server.failures == 0
    assert reader.position()["reconnections"] >= 1


def test_a_network_that_stays_away_ends_the_build_and_says_where_it_goes_on(
    server: Server, settings: SourceSettings
) -> None:
    server.failures = 10**6
    with pytest.raises(UserError, match=r"source web: (reading|cannot open) .*"):
        for _ in SourceReader(settings, None):
            pass
