"""An HTTP server in the test's own process."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from contract.signatures import webhook_headers

Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers and body."""


@contextlib.contextmanager
def posts_answered(
    answer: Callable[[str, Mapping[str, str], bytes], Answer], get: Callable[[str], Answer] | None = None
) -> Iterator[str]:
    """Answer POST requests with a function of path, headers (in lower case) and body; yield the server's URL.

    ``get`` answers GET requests, by their path.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._send(answer(self.path, {name.lower(): value for name, value in self.headers.items()}, body))

        def do_GET(self) -> None:
            self._send(get(self.path) if get else (405, {}, b""))

        def _send(self, whole: Answer) -> None:
            status, headers, content = whole
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of a webhook's signatures was made with a secret."""
    sent_s = int(headers["webhook-timestamp"])
    signed = webhook_headers([secret], webhook_id=headers["webhook-id"], sent_s=sent_s, body=body)
    return signed["webhook-signature"] in headers["webhook-signature"].split()
