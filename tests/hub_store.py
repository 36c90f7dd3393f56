"""What a Hub keeps: repositories with commits and tags, large files by hash, collections. Everything in memory."""

import hashlib
from dataclasses import dataclass, field
from typing import Any

LARGE_SUFFIXES = (".safetensors", ".parquet", ".png")  # as the Hub's own .gitattributes has them


@dataclass(frozen=True)
class Blob:
    """A file of a commit. `oid` is git's hash of a small file, and of a large one the SHA-256 that it is kept under."""

    oid: str
    size: int
    large: bool
    content: bytes | None = None


@dataclass
class Repo:
    repo_id: str
    private: bool
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)  # by hash, oldest first: path to file
    tags: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)  # name to its newest commit
    messages: dict[str, str] = field(default_factory=dict)

    @property
    def head(self) -> str:
        return self.branches["main"]

    @property
    def files(self) -> dict[str, Blob]:
        return self.commits[self.head]

    def resolve(self, revision: str) -> str | None:
        """Return the commit that a branch, a tag or a hash names."""
        named = self.branches.get(revision) or self.tags.get(revision)
        return named or (revision if revision in self.commits else None)

    def commit(self, files: dict[str, Blob], branch: str = "main") -> str:
        content = repr((self.repo_id, len(self.commits), sorted((path, blob.oid) for path, blob in files.items())))
        oid = hashlib.sha1(content.encode()).hexdigest()
        self.commits[oid], self.branches[branch] = files, oid
        return oid

    def info(self) -> dict[str, Any]:
        return {"id": self.repo_id, "_id": "0", "private": self.private, "tags": [], "downloads": 0, "likes": 0}


class Store:
    """All that one Hub holds. Keys of `repos` are (repo type, id)."""

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large_files: dict[str, bytes] = {}
        self.collections: dict[str, dict[str, Any]] = {}

    def create(self, repo_type: str, repo_id: str, private: bool) -> None:
        repo = self.repos[repo_type, repo_id] = Repo(repo_id, private)
        repo.commit({})

    def content(self, blob: Blob) -> bytes:
        return self.large_files[blob.oid] if blob.large else blob.content or b""

    def read(self, repo_type: str, repo_id: str, path: str, revision: str = "main") -> bytes:
        repo = self.repos[repo_type, repo_id]
        return self.content(repo.commits[repo.branches[revision]][path])


def small_blob(content: bytes) -> Blob:
    return Blob(hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(), len(content), False, content)


def is_large(path: str, size: int) -> bool:
    return path.endswith(LARGE_SUFFIXES) or size > 10_000_000


def describe(path: str, blob: Blob) -> dict[str, Any]:
    """Return a file as the tree listings have it."""
    entry: dict[str, Any] = {"type": "file", "path": path, "oid": blob.oid[:40], "size": blob.size}
    return entry | ({"lfs": {"oid": blob.oid, "size": blob.size, "pointerSize": 134}} if blob.large else {})


def tree(files: dict[str, Blob], folder: str, recursive: bool) -> list[dict[str, Any]]:
    """Return the files and folders below `folder`, all of them or those directly in it."""
    prefix = f"{folder}/" if folder else ""
    below = {path: blob for path, blob in files.items() if path.startswith(prefix)}
    folders = {
        path[: place + len(prefix)]
        for path in below
        for place, character in enumerate(path[len(prefix) :])
        if character == "/"
    }
    entries = [describe(path, blob) for path, blob in below.items()]
    entries += [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in sorted(folders)]
    return [entry for entry in entries if recursive or "/" not in entry["path"][len(prefix) :]]
