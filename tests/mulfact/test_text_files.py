"""What JSON, gzip and zstd legally hold is read; everything else is a bad record or an error with its file and line."""

import gzip
import json
from functools import partial
from pathlib import Path

import pytest
import zstandard

from mulfact.errors import UserError
from mulfact.text_files import BadRecord, json_lines, read_json

ROWS = [{"text": f"row {number}"} for number in range(3)]
pack = partial(gzip.compress, mtime=0)  # the names of the tests hold these bytes
CONTENT = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def rows(path: Path) -> list[dict | BadRecord]:
    return [row for _, row in json_lines(path)]


def skippable(content: bytes) -> bytes:
    return (0x184D2A50).to_bytes(4, "little") + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.jsonl.gz", pack(CONTENT) + b"\0" * 1000),
        ("a.jsonl.gz", pack(CONTENT[:20]) + pack(b"") + pack(CONTENT[20:]) + b"\0" * 3),
        ("A.JSONL.GZ", pack(CONTENT)),
        ("a.jsonl.zst", zstandard.compress(CONTENT[:20]) + zstandard.compress(CONTENT[20:])),
        ("a.jsonl.zst", skippable(b"index") + zstandard.compress(CONTENT) + skippable(b"more")),
        ("a.jsonl", CONTENT.replace(b"\n", b"\r\n\r\n")),
        ("a.jsonl", b"\xef\xbb\xbf" + CONTENT),
        ("a.jsonl", CONTENT.replace(b"\n", b"\n\xef\xbb\xbf", 1)),
        ("a.jsonl", b" \n\t\n" + CONTENT.rstrip()),
    ],
)
def test_the_same_rows_in_every_legal_form(tmp_path: Path, name: str, raw: bytes) -> None:
    assert rows(write(tmp_path / name, raw)) == ROWS


def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'\xef\xbb\xbf\n{"text": "a"}\r\n\r\n{"text": "\xe2\x80\xa8"}')
    assert [number for number, _ in json_lines(path)] == [2, 4]


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        (
            rb'{"text": "half a pair: \ud83d and on"}',
            "not_utf8",
            r"line 2: 'text' holds .*d83d', half a surrogate",
        ),
        (rb'{"text": ["\uDC00\uD800"]}', "not_utf8", "half a surrogate pair"),
        (rb'{"n": 1, "\udc00": 2, "text": ""}', "", ""),
        (rb'{"text": "a whole pair: \ud83d\ude00 \\ud83d"}', "", ""),
        (b"[" * 100_000, "not_json", "line 2: JSON that is too long or too deep"),
        (b'{"n": ' + b"9" * 5000 + b"}", "not_json", "line 2: JSON that is too long or too deep"),
        (b"null", "not_json", "line 2: expected a JSON object"),
        (b'{"text": "a"}{"text": "b"}', "not_json", "line 2: not JSON .Extra data at column 14"),
        (b"{'text': 'a'}", "not_json", "line 2: not JSON"),
        (b'{"text": "a\0b"}', "not_json", "line 2: not JSON"),
        (b'{"text": "\xed\xa0\xbd"}', "not_utf8", "line 2: not UTF-8"),
        ('{"text": "ü"}'.encode("latin-1"), "not_utf8", "line 2: not UTF-8"),
    ],
)
def test_a_bad_line_is_one_bad_record(tmp_path: Path, line: bytes, reason: str, message: str) -> None:
    path = write(tmp_path / "a.jsonl", CONTENT.splitlines()[0] + b"\n" + line + b"\n" + CONTENT)
    first, bad, *others = [row for _, row in json_lines(path, ["text"])]
    assert [first, *others] == [ROWS[0], *ROWS]
    assert isinstance(bad, BadRecord) == bool(reason)
    if isinstance(bad, BadRecord):
        assert bad.reason == reason
        with pytest.raises(UserError, match=message):
            raise UserError(bad.message)


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("a.jsonl", pack(CONTENT), r"a\.jsonl holds gzip: let its name end in \.gz"),
        ("a.jsonl", zstandard.compress(CONTENT), r"a\.jsonl holds zstd"),
        ("a.jsonl", CONTENT.decode().encode("utf-16"), r"a\.jsonl is UTF-16: convert it to UTF-8"),
        ("a.jsonl", b"PAR1....PAR1", r"a\.jsonl holds Parquet"),
        ("a.jsonl.gz", CONTENT, r"a\.jsonl\.gz cannot be read beyond record 0 \(Not a gzipped file"),
        ("a.jsonl.gz", pack(CONTENT) + b"garbage", r"cannot be read beyond record \d \(Not a gzipped file"),
        ("a.jsonl.gz", pack(CONTENT)[:-9], r"beyond record \d \(Compressed file ended before"),
        ("a.jsonl.gz", pack(CONTENT)[:-8] + b"\0" * 8, r"beyond record \d \(CRC check failed"),
        ("a.jsonl.zst", zstandard.compress(CONTENT)[:-1], r"beyond record \d \(Truncated compressed stream"),
        ("a.jsonl", b"", r"a\.jsonl is empty"),
        ("a.jsonl", b"\xef\xbb\xbf\r\n\n", r"a\.jsonl is empty"),
        ("a.jsonl.gz", b"", r"a\.jsonl\.gz is empty"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path: Path, name: str, raw: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rows(write(tmp_path / name, raw))


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder: expected a file with one JSON object a line"):
        rows(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        rows(tmp_path / "a.jsonl")


def test_a_json_file_with_a_mark_is_read_and_half_a_pair_is_refused(tmp_path: Path) -> None:
    assert read_json(write(tmp_path / "a.json", b"\xef\xbb\xbf[1]")) == [1]
    with pytest.raises(UserError, match=r"a\.json holds '.ud83d', half a surrogate pair"):
        read_json(write(tmp_path / "a.json", rb'[{"text": "\ud83d"}]'))
    with pytest.raises(UserError, match=r"a\.json cannot be read: not UTF-8 JSON"):
        read_json(write(tmp_path / "a.json", b"{"))
    with pytest.raises(UserError, match=r"a\.json cannot be read: not UTF-8 JSON"):
        read_json(write(tmp_path / "a.json", b"[" * 100_000))
