"""A fake Hugging Face hub. It answers what huggingface_hub 2.4 reads (``hf_api.py``, ``file_download.py``,
``utils/_http.py``), and as the hub was seen to; it has no second host for large files.
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

_API = re.compile(r"/api/models/(?P<id>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
_FILE = re.compile(r"/(?P<id>[^/]+/[^/]+?)/resolve/(?P<revision>main|[0-9a-f]{40})/(?P<file>.+)")


@dataclass
class Repository:
    """A model: its files by path; gated ones need a token. Of those that are ``cut``, one answer has 100 bytes."""

    files: dict[str, bytes]
    gated: bool = False
    cut: list[str] = field(default_factory=list)

    @cached_property
    def commit(self):
        return _sha1(repr(sorted(self.files.items())).encode())


class Hub:
    """The hub at ``url``. ``token`` is of an account that has accepted the terms of what is gated, ``others`` is not.

    ``asked`` has the method and path of each request.
    """

    token, others = "hf_of-the-operator", "hf_of-another"

    def __init__(self):
        self.repositories, self.asked, self.trouble, self._port = {}, [], None, 0
        self._start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}"

    def _start(self):
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _Answers)
        self._server.hub, self._server.daemon_threads, self._port = self, True, self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

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
                self._start()
            self.trouble = None

    def fetched(self, repository):
        """The files of a repository that were fetched, not only asked about."""
        matches = [_FILE.fullmatch(path) for method, path in self.asked if method == "GET"]
        return {match["file"] for match in matches if match and match["id"] == repository}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        hub, path = self.server.hub, unquote(urlsplit(self.path).path)
        hub.asked.append((self.command, path))
        if hub.trouble == "fails":
            self._send(503)
        elif hub.trouble is None:
            self._answer(hub, _API.fullmatch(path) or _FILE.fullmatch(path))

    def do_HEAD(self):
        self.do_GET()

    def _answer(self, hub, match):
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None
        given = match.groupdict() if match else {}
        repository = hub.repositories.get(given.get("id"))
        if token not in {None, hub.token, hub.others}:
            self._send(401, {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repository is None:
            # Without a token the hub does not say whether there is a private one (huggingface/datasets pull 4472).
            self._send(404 if token else 401, {"X-Error-Code": "RepoNotFound"})
        elif given["revision"] not in {None, "main", repository.commit}:
            self._send(404, {"X-Error-Code": "RevisionNotFound"})
        elif "file" not in given:
            self._describe(repository, given)
        elif repository.gated and token != hub.token:
            # Lists of gated repositories are open, their files are not (huggingface/huggingface.js issue 945).
            self._send(403 if token else 401, {"X-Error-Code": "GatedRepo"})
        elif given["file"] not in repository.files:
            self._send(404, {"X-Error-Code": "EntryNotFound"})
        else:
            self._give(repository, given["file"])

    def _describe(self, repository, given):
        """What ``hf_api.ModelInfo`` and ``hf_api.RepoFile`` read."""
        if given["what"] == "tree":
            files = repository.files.items()
            body = [{"type": "file", "path": path, "size": len(one), "oid": _sha1(one)} for path, one in files]
        else:
            siblings = [{"rfilename": path} for path in repository.files]
            body = {"id": given["id"], "sha": repository.commit, "gated": repository.gated, "siblings": siblings}
        self._send(200, {"Content-Type": "application/json"}, json.dumps(body).encode())

    def _give(self, repository, path):
        content = repository.files[path]
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{_sha1(content)}"'}
        if self.command == "GET" and path in repository.cut:
            repository.cut.remove(path)
            content = content[:100]
        self._send(200, headers, content)

    def _send(self, status, headers=None, body=b""):
        self.send_response(status)
        for name, value in {"Content-Length": len(body), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


def _sha1(content):
    return hashlib.sha1(content).hexdigest()


def in_a_process(token, function, *values):
    """Call a function whose requests to the hub carry a token, or none; of a loaded model nothing comes back."""
    os.environ.pop("HF_TOKEN", None)
    if token:
        os.environ["HF_TOKEN"] = token
    from runtimes.flux.server.pipeline import loading

    found = getattr(loading, function)(*values)
    return found if function == "folder_of" else None
