"""A model bucket that is read as slowly as S3 delivers it to a node: one checkpoint, by the calls that copies need."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench.coldstart.bucket import throttled

CHECKPOINT = "model.safetensors"
_KEY = f"Stable-diffusion/{CHECKPOINT}"
_LISTED = """<ListBucketResult><Name>models</Name><IsTruncated>false</IsTruncated>{}</ListBucketResult>"""
_ENTRY = """<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"1"</ETag>
<Size>{}</Size></Contents>"""
_PIECE_BYTES = 1 << 20


@contextmanager
def slow_s3(model: Path, network_mb_s: str, reader_mb_s: str) -> Iterator[str]:
    """Serve a checkpoint at the rates of the network and of one reader; gives the endpoint."""
    slow, size = throttled(model, network_mb_s, reader_mb_s), model.stat().st_size

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            if "list-type" in query:
                is_there = _KEY.startswith(query["prefix"][0])
                self._begin(200, len(body := _LISTED.format(_ENTRY.format(_KEY, size) if is_there else "").encode()))
                self.wfile.write(body)
                return
            begin, end = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            self._begin(206, end + 1 - begin)
            with slow.open("rb", buffering=0) as file:
                file.seek(begin)
                while begin <= end:
                    piece = file.read(min(_PIECE_BYTES, end + 1 - begin))
                    self.wfile.write(piece)
                    begin += len(piece)

        def _begin(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
