"""What the hub's twin answers about models with one branch.

It is what huggingface_hub 2.4 reads (``hf_api.py``, ``file_download.py``, ``utils/_http.py``), and what the hub was
seen to send where the client's sources do not say it; each such place names the source. Files by Xet are left out: the
hub offers each by a signed link too (huggingface.co/docs/xet/file-id).
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hubkit.stock import LARGE, Asked, Break, Repository

if TYPE_CHECKING:
    from hubkit.hub import Hub

_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
FILE = re.compile(
    r"(/api/resolve-cache/models)?/(?P<id>[^/]+/[^/]+?)(/resolve)?/(?P<revision>main|[0-9a-f]{40})/(?P<file>.+)"
)


class Server(ThreadingHTTPServer):
    """One host; answers until it is shut down."""

    daemon_threads = True
    request_queue_size = 64  # of the 5 by default a client that opens eight connections waits a second for some

    def __init__(self, hub: "Hub", port: int, handler: type["_Answers"]) -> None:
        super().__init__(("127.0.0.1", port), handler)
        self.hub = hub
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Answers(BaseHTTPRequestHandler):
    server: Server
    host: str

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.path_alone = unquote(urlsplit(self.path).path)
        given = self.headers.get
        hub = self.server.hub
        hub.asked.append(Asked(self.host, self.command, self.path_alone, given("Authorization"), given("Range")))
        if hub.trouble == "fails":
            self.send(503, {})
        elif hub.trouble is None:
            self.reply()

    def reply(self) -> None:
        raise NotImplementedError

    def send(self, status: int, headers: Mapping[str, object], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | dict(headers)).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class HubAnswers(_Answers):
    """The hub's own."""

    host = "hub"

    def reply(self) -> None:
        hub = self.server.hub
        if self._token not in {None, hub.token, hub.others_token}:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif match := _API.fullmatch(self.path_alone) or FILE.fullmatch(self.path_alone):
            self._reply_of(hub.repositories.get(match["id"]), match)
        else:
            self._refuse(404, "", "Not found")

    @property
    def _token(self) -> str | None:
        value = self.headers.get("Authorization")
        return value.removeprefix("Bearer ") if value else None

    def _reply_of(self, repository: Repository | None, match: re.Match[str]) -> None:
        given = match.groupdict()
        if repository is None:
            # Without a token the hub does not say whether there is a private one (huggingface/datasets pull 4472).
            self._refuse(404 if self._token else 401, "RepoNotFound", "Repository not found")
        elif given["revision"] not in {None, "main", repository.commit}:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {given['revision']}")
        elif "file" not in given:
            self._describe(repository, given)
        elif repository.gated and self._token != self.server.hub.token:
            # Lists of gated repositories are open, their files are not (huggingface/huggingface.js issue 945).
            self._refuse(
                403 if self._token else 401, "GatedRepo", f"Access to model {given['id']} is restricted. Please log in."
            )
        elif given["file"] not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            self._give(repository, given["id"], given["file"])

    def _describe(self, repository: Repository, given: Mapping[str, str]) -> None:
        """Answer with what ``hf_api.ModelInfo`` and ``hf_api.RepoFile`` read."""
        if given["what"] == "tree":
            self._json([_row(path, content) for path, content in repository.files.items()])
        else:
            siblings = [{"rfilename": path} for path in repository.files]
            self._json({"id": given["id"], "sha": repository.commit, "gated": repository.gated, "siblings": siblings})

    def _give(self, repository: Repository, repository_id: str, path: str) -> None:
        """Answer for a file: a large one is elsewhere, and a small one behind a redirect on the hub itself.

        The second (``/api/resolve-cache``, status 307) is in huggingface/swift-transformers pull 209.
        """
        content = repository.files[path]
        known = {"X-Repo-Commit": repository.commit, "Accept-Ranges": "bytes"}
        if path.endswith(LARGE):
            place = f"{self.server.hub.storage_url}/{repository_id}/{path}?X-Amz-Signature=s"
            linked = {"X-Linked-Size": len(content), "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"'}
            self.send(302, known | linked | self._warning | {"Location": place})
        elif "/resolve/" in self.path_alone:
            place = f"/api/resolve-cache/models/{repository_id}/{repository.commit}/{path}"
            self.send(307, known | self._warning | {"Location": place})
        else:
            self.send(200, known | {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content)

    @property
    def _warning(self) -> dict[str, str]:
        """What the hub warns of where no token is (raullenchai/Rapid-MLX issue 1122)."""
        return {} if self._token else {"X-HF-Warning": "unauthenticated; You are sending unauthenticated requests"}

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Refuse in the way that ``utils/_http.py: hf_raise_for_status`` tells apart."""
        headers = {"X-Error-Message": message, "Content-Type": "application/json"} | (
            {"X-Error-Code": code} if code else {}
        )
        self.send(status, headers, json.dumps({"error": message}).encode())

    def _json(self, content: object) -> None:
        self.send(200, {"Content-Type": "application/json"} | self._warning, json.dumps(content).encode())


class StorageAnswers(_Answers):
    """Large files by signed links; what is signed may not carry a token besides, as with S3 (``InvalidArgument``)."""

    host = "storage"

    def reply(self) -> None:
        owner, name, path = self.path_alone.lstrip("/").split("/", 2)
        repository = self.server.hub.repositories[f"{owner}/{name}"]
        if self.headers.get("Authorization"):
            self.send(400, {}, b"<Code>InvalidArgument</Code>")
            return
        content = repository.files[path]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        breaks = repository.broken.get(path)
        self._send_until(breaks.pop(0) if breaks else None, 206 if start else 200, headers, content[start:])

    def _send_until(self, end: Break | None, status: int, headers: Mapping[str, object], body: bytes) -> None:
        sent = body if end is None else body[: end.after]
        length = len(sent) if end is not None and end.silent else len(body)
        self.send(status, {**headers, "Content-Length": length}, sent)
        self.close_connection = True


def _row(path: str, content: bytes) -> dict[str, object]:
    """A file in a list, by ``hf_api.RepoFile``."""
    row = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
    if not path.endswith(LARGE):
        return row
    return row | {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}
