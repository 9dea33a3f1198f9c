"""A fake Hugging Face hub, and the host from which it has large files fetched.

It answers what huggingface_hub 2.4 reads (``hf_api.py``, ``file_download.py``, ``utils/_http.py``), and what the hub
was seen to send where the client's sources do not say it; each such place names the source. Files by Xet are left out:
the hub offers each by a signed link too (huggingface.co/docs/xet/file-id).
"""

import hashlib
import json
import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".ckpt", ".onnx", ".msgpack")
"""What repositories of models keep as LFS (their .gitattributes)."""
_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(
    r"(/api/resolve-cache/models)?/(?P<id>[^/]+/[^/]+?)(/resolve)?/(?P<revision>main|[0-9a-f]{40})/(?P<file>.+)"
)


@dataclass
class Repository:
    """A model: its files by path; gated ones need a token. ``broken`` has large files' next downloads, by path."""

    files: dict[str, bytes]
    gated: bool = False
    broken: dict[str, list["Break"]] = field(default_factory=dict)

    @cached_property
    def commit(self):
        digest = hashlib.sha1()
        for path, content in sorted(self.files.items()):
            digest.update(path.encode() + b"\0" + content)
        return digest.hexdigest()


@dataclass(frozen=True)
class Break:
    """A download that ends after so many bytes; a silent one passes for the whole file, as from a proxy that cut it."""

    after: int
    silent: bool = False


@dataclass(frozen=True)
class Asked:
    """A request, as it came; ``host`` is ``hub`` or ``storage``."""

    host: str
    method: str
    path: str
    authorization: str | None
    byte_range: str | None


class Hub:
    """The hub at ``url``, until it is stopped. It has large files fetched from a second host of another name.

    ``token`` is of an account that has accepted the terms of what is gated, ``others_token`` of one that has not.
    """

    token, others_token = "hf_of-the-operator", "hf_of-another"

    def __init__(self):
        self.repositories = {}
        self.asked = []
        self.trouble = None
        self._port = self._storage_port = 0
        self.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    @property
    def storage_url(self):
        return f"http://localhost:{self._storage_port}"

    def start(self):
        """Answer, on the ports of before."""
        self._servers = [_Server(self, self._port, _HubAnswers), _Server(self, self._storage_port, _StorageAnswers)]
        self._port, self._storage_port = (server.server_address[1] for server in self._servers)

    def stop(self):
        """Be gone: connections are refused."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @contextmanager
    def away(self, trouble):
        """Be out of reach for a while: it ``refuses`` connections, ``breaks`` them unanswered, or ``fails``."""
        self.trouble = trouble
        if trouble == "refuses":
            self.stop()
        try:
            yield
        finally:
            if trouble == "refuses":
                self.start()
            self.trouble = None

    def fetched(self, repository):
        """The files of a repository that were fetched, not only asked about."""
        gets = [ask for ask in self.asked if ask.method == "GET"]
        matches = [_FILE.fullmatch(ask.path) for ask in gets if ask.host == "hub"]
        small = {match["file"] for match in matches if match and match["id"] == repository}
        large = {ask.path.removeprefix(f"/{repository}/") for ask in gets if ask.host == "storage"}
        return small | (large & self.repositories[repository].files.keys())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # of the 5 by default a client that opens eight connections waits a second for some

    def __init__(self, hub, port, handler):
        super().__init__(("127.0.0.1", port), handler)
        self.hub = hub
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Answers(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.path_alone = unquote(urlsplit(self.path).path)
        given, hub = self.headers.get, self.server.hub
        hub.asked.append(Asked(self.host, self.command, self.path_alone, given("Authorization"), given("Range")))
        if hub.trouble == "fails":
            self.send(503, {})
        elif hub.trouble is None:
            self.reply()

    def send(self, status, headers, body=b""):
        self.send_response(status)
        for name, value in ({"Content-Length": len(body)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


class _HubAnswers(_Answers):
    host = "hub"

    def reply(self):
        hub, match = self.server.hub, _API.fullmatch(self.path_alone) or _FILE.fullmatch(self.path_alone)
        if self._token not in {None, hub.token, hub.others_token}:
            self._refuse(401, "", "Invalid credentials in Authorization header")
            return
        given = match.groupdict() if match else {}
        repository = hub.repositories.get(given.get("id"))
        if repository is None:
            # Without a token the hub does not say whether there is a private one (huggingface/datasets pull 4472).
            self._refuse(404 if self._token else 401, "RepoNotFound", "Repository not found")
        elif given["revision"] not in {None, "main", repository.commit}:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {given['revision']}")
        elif "file" not in given:
            self._describe(repository, given)
        elif repository.gated and self._token != hub.token:
            # Lists of gated repositories are open, their files are not (huggingface/huggingface.js issue 945).
            words = f"Access to model {given['id']} is restricted. Please log in."
            self._refuse(403 if self._token else 401, "GatedRepo", words)
        elif given["file"] not in repository.files:
            self._refuse(404, "EntryNotFound", "Entry not found")
        else:
            self._give(repository, given["id"], given["file"])

    @property
    def _token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def _describe(self, repository, given):
        """What ``hf_api.ModelInfo`` and ``hf_api.RepoFile`` read."""
        if given["what"] == "tree":
            self._json([_row(path, content) for path, content in repository.files.items()])
        else:
            siblings = [{"rfilename": path} for path in repository.files]
            self._json({"id": given["id"], "sha": repository.commit, "gated": repository.gated, "siblings": siblings})

    def _give(self, repository, repository_id, path):
        """A large file is elsewhere, and a small one behind a redirect on the hub itself.

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
    def _warning(self):
        """What the hub warns of where no token is (raullenchai/Rapid-MLX issue 1122)."""
        return {} if self._token else {"X-HF-Warning": "unauthenticated; You are sending unauthenticated requests"}

    def _refuse(self, status, code, message):
        """In the way that ``utils/_http.py: hf_raise_for_status`` tells apart."""
        headers = {"X-Error-Message": message, "Content-Type": "application/json"}
        self.send(status, headers | ({"X-Error-Code": code} if code else {}), json.dumps({"error": message}).encode())

    def _json(self, content):
        self.send(200, {"Content-Type": "application/json"} | self._warning, json.dumps(content).encode())


class _StorageAnswers(_Answers):
    """Large files by signed links; what is signed may not carry a token besides, as with S3 (``InvalidArgument``)."""

    host = "storage"

    def reply(self):
        owner, name, path = self.path_alone.lstrip("/").split("/", 2)
        repository = self.server.hub.repositories[f"{owner}/{name}"]
        if self.headers.get("Authorization"):
            self.send(400, {}, b"<Code>InvalidArgument</Code>")
            return
        content = repository.files[path]
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        breaks = repository.broken.get(path)
        end = breaks.pop(0) if breaks else None
        sent = content[start:] if end is None else content[start:][: end.after]
        length = len(sent) if end is not None and end.silent else len(content) - start
        self.send(206 if start else 200, {**headers, "Content-Length": length}, sent)
        self.close_connection = True


def _row(path, content):
    """A file in a list, by ``hf_api.RepoFile``."""
    row = {"type": "file", "path": path, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
    if not path.endswith(LARGE):
        return row
    return row | {"lfs": {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}}


def files_of(folder):
    """The files below a folder, by their paths."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def in_a_process(token, function, *values):
    """Call a function whose requests to the hub carry a token, or none; of a loaded model nothing comes back."""
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    from runtimes.flux.server.pipeline import loading

    found = getattr(loading, function)(*values)
    return found if function == "folder_of" else None
