"""A hub of one data set on this machine: as much of the Hugging Face hub's protocol as reading files takes."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "who/what"


@contextmanager
def fake_hub(files: dict[str, bytes], revisions: dict[str, str]) -> Iterator[str]:
    """Serve the files of ``datasets/who/what`` and give the address.

    Args:
        files: Content by path.
        revisions: Commit by name; each commit has the same files.
    """
    handler = type("Handler", (_Handler,), {"files": files, "revisions": revisions})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]]
    revisions: ClassVar[dict[str, str]]

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0].replace("%2F", "/")
        found = re.fullmatch(rf"/(api/)?datasets/{NAME}/(\w[\w-]*)/(.+)", path)
        if path == f"/api/datasets/{NAME}":
            self._json(self._info(self.revisions["main"]))
        elif found is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        else:
            self._of_repository(found[2], found[3], body)

    def _of_repository(self, verb: str, rest: str, body: bytes) -> None:
        name = next(
            (name for name in [*self.revisions, *self.revisions.values()] if f"{rest}/".startswith(f"{name}/")), ""
        )
        commit, path = self.revisions.get(name, name), rest[len(name) :].strip("/")
        if not name:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif verb == "revision":
            self._json(self._info(commit))
        elif verb == "tree":
            self._json(self._tree(path))
        elif verb == "paths-info":
            self._json(self._paths(body))
        elif verb == "resolve" and path in self.files:
            self._file(self.files[path], commit)
        else:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})

    def _info(self, commit: str) -> object:
        return {"id": NAME, "sha": commit, "siblings": [{"rfilename": path} for path in self.files], "private": False}

    def _tree(self, folder: str) -> object:
        within = [path for path in self.files if f"/{path}".startswith(f"/{folder}".rstrip("/") + "/")]
        if "recursive=True" in self.path or "recursive=true" in self.path:
            return [self._entry(path) for path in within]
        depth = folder.count("/") + 1 if folder else 0
        below = {"/".join(path.split("/")[: depth + 1]) for path in within}
        return [self._entry(path) for path in sorted(below)]

    def _paths(self, body: bytes) -> object:
        asked = json.loads(body)["paths"] if body.startswith(b"{") else re.findall(r"paths=([^&]+)", body.decode())
        asked = [path.replace("%2F", "/") for path in asked]
        folders = {path.rpartition("/")[0] for path in self.files} - {""}
        return [self._entry(path) for path in asked if path in self.files or path in folders]

    def _entry(self, path: str) -> object:
        if path not in self.files:
            return {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
        content = self.files[path]
        entry = {"type": "file", "oid": sha1(content).hexdigest(), "size": len(content), "path": path}
        if path.endswith(".parquet"):
            entry["lfs"] = {"oid": sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def _file(self, content: bytes, commit: str) -> None:
        headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            self._send(200, content, headers)
            return
        start, end = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {start}-{end}/{len(content)}"
        self._send(206, content[start : end + 1], headers)

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
