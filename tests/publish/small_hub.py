"""A hub on the loopback interface with one repository, our-org/tiny: what its client reads there and uploads."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from huggingface_hub import constants

NAME = "our-org/tiny"
DAY = "2026-02-03"


class SmallHub:
    """{file: content} of one commit; an upload replaces them."""

    def __init__(self, files: dict[str, bytes], commit: str) -> None:
        self.files, self.commit = files, commit
        self.created: list[str] = []
        self.downloaded: list[str] = []

    def get(self, path: str) -> Any:
        """The answer to a GET: bytes of a file, a JSON value, or None where there is nothing."""
        if path.startswith(f"/{NAME}/resolve/{self.commit}/"):
            name = path.rpartition(f"/resolve/{self.commit}/")[2]
            self.downloaded.append(name)
            return self.files.get(name)
        if path == f"/api/models/{NAME}/revision/{self.commit}":
            return {"id": NAME, "sha": self.commit, "siblings": [self.listed(name) for name in self.files]}
        if path == f"/api/models/{NAME}/commits/{self.commit}":
            day = f"{DAY}T23:30:00.000Z"
            return [{"id": self.commit, "title": "one", "message": "", "date": day, "authors": []}]
        return None

    def listed(self, name: str) -> dict[str, Any]:
        content = self.files[name]
        entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": sha1(content).hexdigest()}
        if name.endswith(".safetensors"):
            entry["lfs"] = {"sha256": sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def post(self, path: str, body: bytes) -> Any:
        """The answer to a POST."""
        if path == "/api/repos/create":
            self.created.append(json.loads(body)["name"])
            return {"url": f"http://127.0.0.1/{NAME}"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        if path == f"/api/models/{NAME}/preupload/main":
            asked = json.loads(body)["files"]
            return {"files": [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in asked]}
        if path == f"/api/models/{NAME}/commit/main":
            lines = [json.loads(line) for line in body.splitlines()]
            uploaded = [line["value"] for line in lines if line["key"] == "file"]
            self.files = {one["path"]: base64.b64decode(one["content"]) for one in uploaded}
            url = f"http://127.0.0.1/{NAME}/commit/{self.commit}"
            return {"success": True, "commitOid": self.commit, "commitUrl": url}
        return None


@contextmanager
def served(hub: SmallHub) -> Iterator[str]:
    """The address at which the hub answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer(hub.get(self.path.partition("?")[0]))

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(hub.post(self.path.partition("?")[0], body))

        def answer(self, value: Any) -> None:
            body = value if isinstance(value, bytes) else json.dumps({} if value is None else value).encode()
            self.send_response(404 if value is None else 200)
            if value is None:
                self.send_header("X-Error-Code", "RevisionNotFound")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("ETag", f'"{sha1(body).hexdigest()}"')
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ask_there(address: str, monkeypatch: Any) -> None:
    """Make the hub's client in this process ask at an address; HF_ENDPOINT is read when it is imported."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", address)
    template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
