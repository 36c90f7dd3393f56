"""A small Hub: the HTTP protocol of huggingface.co as far as this project's clients speak it, with faults on demand.

    python tests/hub_server.py --port 8090
    HF_ENDPOINT=http://127.0.0.1:8090 HF_TOKEN=hf_writer HF_HUB_DISABLE_XET=1 make push ORG=someone

Tokens: hf_writer may write, hf_reader may read private repositories, anything else is not accepted.
"""

import argparse
import base64
import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from hub_faults import Call, Fault
from hub_metadata import file_errors, metadata_errors
from hub_store import Blob, Repo, Store, describe, is_large, small_blob, tree

WRITER, READER = "hf_writer", "hf_reader"


class Refused(Exception):
    """The request is answered with an error."""

    def __init__(self, status: int, message: str, code: str = "", content: dict[str, Any] | None = None) -> None:
        self.status, self.message, self.code = status, message, code
        self.content = content or {"error": message}


class HubServer(ThreadingHTTPServer):
    """Serves a Store from a thread of its own, and remembers every request."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.store = Store()
        self.calls: list[Call] = []
        self.faults: list[Fault] = []
        self.observers: list[Callable[[Call], object]] = []
        self.tokens = {WRITER: True, READER: False}  # token: may it write
        self.lock = threading.RLock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> "HubServer":
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client was killed: that is part of the tests."""

    def fault(self, request: str) -> Fault:
        """Return what goes wrong with this request; mostly a fault that does nothing."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.where, request):
                    fault.times -= 1
                    return fault
        return Fault("")

    def uploads(self) -> list[str]:
        """Return what was sent to be stored: large files and commits, by path."""
        return [
            call.path
            for call in self.calls
            if (call.method == "PUT" and call.path.startswith("/lfs/")) or "/commit/" in call.path
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    def log_message(self, *_: object) -> None:
        """Keep the terminal to the client."""

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_GET

    def answer(self) -> None:
        parts = urlsplit(self.path)
        self.path, self.query = unquote(parts.path), parse_qs(parts.query)
        self.call = Call(self.command, self.path, dict(self.headers))
        self.server.calls.append(self.call)
        for observe in self.server.observers:
            observe(self.call)
        fault = self.server.fault(f"{self.command} {self.path}")
        self.cut, length = fault.cut, int(self.headers.get("Content-Length", 0))
        if self.command == "PUT" and (fault.cut or fault.stall):
            self.call.body = self.rfile.read(length // 2)
            if fault.stall:
                fault.stall.set()
                threading.Event().wait()
            self.hang_up()
            return
        self.call.body = self.rfile.read(length)
        threading.Event().wait(fault.slow)  # not time.sleep: tests patch that for the client
        try:
            if fault.status:
                self.send_json({"error": fault.message}, fault.status, fault.headers)
            else:
                self.route()
        except Refused as refused:
            extra = {"X-Error-Code": refused.code} if refused.code else {}
            self.send_json(refused.content, refused.status, {**extra, "X-Error-Message": refused.message})

    @property
    def body(self) -> Any:
        return json.loads(self.call.body)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.close()

    def send_json(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send_bytes(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.call.status = status
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if self.cut else content)
            self.wfile.flush()
            if self.cut:
                self.hang_up()

    # ------------------------------------------------------------ who may do what

    def token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def check_right_to_write(self) -> None:
        token = self.token()
        if token not in self.server.tokens:
            self.refuse(401, "Invalid credentials in Authorization header")
        if not self.server.tokens[token]:
            self.refuse(403, "You don't have the rights to write here")

    def repo(self, repo_type: str, repo_id: str) -> Repo:
        """Return a repository that the token may read; a hidden one and a missing one look the same."""
        repo = self.server.store.repos.get((repo_type, repo_id))
        if repo is None or (repo.private and self.token() not in self.server.tokens):
            self.refuse(404 if self.token() in self.server.tokens else 401, "Repository not found", "RepoNotFound")
        return repo

    def files(self, repo: Repo, revision: str) -> dict[str, Blob]:
        commit = repo.resolve(revision)
        if commit is None:
            self.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return repo.commits[commit]

    def refuse(self, status: int, message: str, code: str = "", content: dict[str, Any] | None = None) -> NoReturn:
        raise Refused(status, message, code, content)

    # ------------------------------------------------------------ routes

    def route(self) -> None:
        """Let the action of this address answer: for who may do that, and with the repository that is named."""
        for pattern, action in ROUTES:
            if match := re.fullmatch(pattern, f"{self.command} {self.path}"):
                named: dict[str, Any] = match.groupdict()
                with self.server.lock:
                    if self.command not in ("GET", "HEAD") and action not in NEEDS_NO_RIGHT:
                        self.check_right_to_write()
                    if "kind" in named:
                        kind = (named.pop("kind") or "models").rstrip("/").removesuffix("s")
                        named["repo"] = self.repo(kind, named.pop("repo_id"))
                    action(self, **named)
                return
        self.refuse(404, f"no route for {self.command} {self.path}", "EntryNotFound")

    def whoami(self) -> None:
        if self.token() not in self.server.tokens:
            self.refuse(401, "Invalid credentials in Authorization header")
        self.send_json({"type": "user", "name": "someone", "orgs": []})

    def validate_yaml(self) -> None:
        errors = metadata_errors(self.body["content"])
        if errors:
            self.refuse(400, "invalid", content={"errors": [{"message": error} for error in errors]})
        self.send_json({"errors": [], "warnings": []})

    def create_repo(self) -> None:
        body = self.body
        key = (body.get("type", "model"), f"{body['organization']}/{body['name']}")
        if (key[0] == "space") != (body.get("sdk") == "static"):
            self.refuse(400, "a Space needs an sdk, and nothing else has one")
        url = f"{self.server.url}/{'' if key[0] == 'model' else key[0] + 's/'}{key[1]}"
        if key in self.server.store.repos:
            self.refuse(409, "You already created this repo", content={"error": "already created", "url": url})
        self.server.store.create(*key, private=body.get("visibility") == "private")
        self.send_json({"url": url, "name": key[1], "id": "0"})

    def settings(self, repo: Repo) -> None:
        repo.private = self.body["visibility"] == "private"
        self.send_json({})

    def repo_info(self, repo: Repo, revision: str = "main") -> None:
        siblings = [{"rfilename": path} for path in self.files(repo, revision)]
        self.send_json(repo.info() | {"sha": repo.resolve(revision), "siblings": siblings})

    def refs(self, repo: Repo) -> None:
        tags = [{"name": n, "ref": f"refs/tags/{n}", "targetCommit": oid} for n, oid in repo.tags.items()]
        branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": oid} for n, oid in repo.branches.items()]
        self.send_json({"branches": branches, "converts": [], "tags": tags})

    def tree(self, repo: Repo, revision: str, folder: str | None = None) -> None:
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        entries = tree(self.files(repo, revision), folder or "", recursive)
        if folder and not entries:
            self.refuse(404, f"{folder} does not exist", "EntryNotFound")
        self.send_json(entries)

    def paths_info(self, repo: Repo, revision: str) -> None:
        files = self.files(repo, revision)
        wanted = parse_qs(self.call.body.decode()).get("paths", [])
        folders = [path for path in wanted if any(name.startswith(f"{path}/") for name in files)]
        entries = [describe(path, files[path]) for path in wanted if path in files]
        self.send_json(entries + [{"type": "directory", "path": path, "oid": "0" * 40} for path in folders])

    def preupload(self, repo: Repo, revision: str) -> None:
        files = self.files(repo, revision)
        answer = [
            {
                "path": entry["path"],
                "uploadMode": "lfs" if is_large(entry["path"], entry["size"]) else "regular",
                "shouldIgnore": False,
                "oid": files[entry["path"]].oid if entry["path"] in files else None,
            }
            for entry in self.body["files"]
        ]
        self.send_json({"files": answer})

    def lfs_batch(self, repo: Repo) -> None:
        objects = [
            entry
            if entry["oid"] in self.server.store.large_files
            else entry | {"actions": {"upload": {"href": f"{self.server.url}/lfs/{entry['oid']}"}}}
            for entry in self.body["objects"]
        ]
        self.send_json({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        """Take a large file; like a presigned address, this one needs no token."""
        self.server.store.large_files[oid] = self.call.body
        self.send_bytes(200, b"", {})

    def commit(self, repo: Repo, revision: str) -> None:
        store, files = self.server.store, dict(self.files(repo, revision))
        for line in self.call.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "file":
                files[value["path"]] = small_blob(base64.b64decode(value["content"]))
            elif key == "lfsFile":
                if value["oid"] not in store.large_files:
                    self.refuse(400, f"{value['path']}: its content was never uploaded")
                files[value["path"]] = Blob(value["oid"], len(store.large_files[value["oid"]]), True)
            elif key == "deletedFile":
                del files[value["path"]]
        for path, blob in files.items():
            errors = file_errors(path, store.content(blob).decode()) if path.endswith((".md", ".yaml")) else []
            if errors:
                self.refuse(400, f"{path}: {errors[0]}")
        if revision not in repo.branches:
            self.refuse(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        oid = repo.commit(files, revision)
        self.send_json({"commitUrl": f"{self.server.url}/{repo.repo_id}/commit/{oid}", "commitOid": oid})

    def create_branch(self, repo: Repo, revision: str) -> None:
        if revision in repo.branches:
            self.refuse(409, "Branch already exists")
        repo.branches[revision] = repo.head
        self.send_json({})

    def delete_branch(self, repo: Repo, revision: str) -> None:
        if repo.branches.pop(revision, None) is None:
            self.refuse(404, "no such branch", "RevisionNotFound")
        self.send_json({})

    def create_tag(self, repo: Repo, revision: str) -> None:
        tag = self.body["tag"]
        if tag in repo.tags:
            self.refuse(409, "Tag already exists")
        repo.tags[tag] = repo.resolve(revision) or self.refuse(404, "no such revision", "RevisionNotFound")
        repo.messages[tag] = self.body.get("message", "")
        self.send_json({})

    def delete_tag(self, repo: Repo, revision: str) -> None:
        if repo.tags.pop(revision, None) is None:
            self.refuse(404, "no such tag", "RevisionNotFound")
        self.send_json({})

    def resolve(self, repo: Repo, revision: str, file: str) -> None:
        blob = self.files(repo, revision).get(file)
        commit = {"X-Repo-Commit": repo.resolve(revision) or ""}
        if blob is None:
            self.send_json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound", **commit})
            return
        content = self.server.store.content(blob)
        headers = {"ETag": f'"{blob.oid}"', "Accept-Ranges": "bytes", **commit}
        if blob.large:
            headers |= {"X-Linked-Etag": f'"{blob.oid}"', "X-Linked-Size": str(blob.size)}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked:
            start, end = int(asked[1]), int(asked[2] or len(content) - 1)
            headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
            self.send_bytes(206, content[start : end + 1], headers)
        else:
            self.send_bytes(200, content, headers)

    def create_collection(self) -> None:
        body = self.body
        slug = f"{body['namespace']}/{body['title'].lower().replace(' ', '-')}-0123456789abcdef01234567"
        if slug in self.server.store.collections:
            self.refuse(409, "exists", content={"error": "exists", "slug": slug})
        self.server.store.collections[slug] = {
            "slug": slug, "title": body["title"], "owner": {"name": body["namespace"]}, "items": [], "position": 0,
            "lastUpdated": "2026-01-01T00:00:00.000Z", "private": body["private"], "theme": "blue", "upvotes": 0,
            "description": body.get("description"),
        }  # fmt: skip
        self.send_json(self.server.store.collections[slug])

    def collection(self, slug: str) -> None:
        self.send_json(self.server.store.collections.get(slug) or self.refuse(404, "no such collection"))

    def change_collection(self, slug: str) -> None:
        self.server.store.collections[slug] |= self.body
        self.send_json({"data": self.server.store.collections[slug]})

    def add_item(self, slug: str) -> None:
        found, item = self.server.store.collections[slug], self.body["item"]
        self.repo(item["type"], item["id"])
        if any((old["id"], old["type"]) == (item["id"], item["type"]) for old in found["items"]):
            self.refuse(409, "already in the collection")
        found["items"].append({"_id": str(len(found["items"])), **item, "position": len(found["items"])})
        self.send_json(found)


NAME = r"(?P<repo_id>[\w.-]+/[\w.-]+)"
API = rf"/api/(?P<kind>models|datasets|spaces)/{NAME}"
PREFIX = r"(?P<kind>(?:datasets|spaces)/)?"
REVISION = r"(?P<revision>[^/]+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (r"GET /api/whoami-v2", Handler.whoami),
    (r"POST /api/validate-yaml", Handler.validate_yaml),
    (r"POST /api/repos/create", Handler.create_repo),
    (rf"PUT {API}/settings", Handler.settings),
    (rf"GET {API}", Handler.repo_info),
    (rf"GET {API}/revision/{REVISION}", Handler.repo_info),
    (rf"GET {API}/refs", Handler.refs),
    (rf"GET {API}/tree/{REVISION}(?:/(?P<folder>.+))?", Handler.tree),
    (rf"POST {API}/paths-info/{REVISION}", Handler.paths_info),
    (rf"POST {API}/preupload/{REVISION}", Handler.preupload),
    (rf"POST {API}/commit/{REVISION}", Handler.commit),
    (rf"POST {API}/branch/{REVISION}", Handler.create_branch),
    (rf"DELETE {API}/branch/{REVISION}", Handler.delete_branch),
    (rf"POST {API}/tag/{REVISION}", Handler.create_tag),
    (rf"DELETE {API}/tag/{REVISION}", Handler.delete_tag),
    (rf"POST /{PREFIX}{NAME}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (r"PUT /lfs/(?P<oid>[0-9a-f]{64})", Handler.lfs_put),
    (rf"(?:GET|HEAD) /{PREFIX}{NAME}/resolve/{REVISION}/(?P<file>.+)", Handler.resolve),
    (r"POST /api/collections", Handler.create_collection),
    (r"GET /api/collections/(?P<slug>[\w.-]+/[\w.-]+)", Handler.collection),
    (r"PATCH /api/collections/(?P<slug>[\w.-]+/[\w.-]+)", Handler.change_collection),
    (r"POST /api/collections/(?P<slug>[\w.-]+/[\w.-]+)/items", Handler.add_item),
]
NEEDS_NO_RIGHT = (Handler.validate_yaml, Handler.paths_info, Handler.lfs_put)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a small Hub on this machine, in memory.")
    parser.add_argument("--port", type=int, default=8090)
    with HubServer(parser.parse_args().port) as server:
        print(f"HF_ENDPOINT={server.url} HF_TOKEN={WRITER} HF_HUB_DISABLE_XET=1", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
