"""The console: a page for people, and its files, which ``make console`` builds. The page itself uses API v1."""

import hashlib
from pathlib import Path
from urllib.parse import urlsplit

from api.errors import RequestError
from api.http import Answer, Request, Response
from api.operations.outputs import StoredFile
from api.services import Services

FOLDER = Path(__file__).parents[2] / "console" / "built"
"""There is none where config.yaml does not ask for the console."""
_PAGE = "index.html"
_FILES = {
    _PAGE: "text/html; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "console.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_HEADERS = {
    "Cache-Control": "no-cache",  # a browser asks each time whether its copy is the current one
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ConsoleFace:
    """The console."""

    def answer(self, request: Request, services: Services) -> Answer:
        """Answer with the page or one of its files."""
        if request.method not in {"GET", "HEAD"}:
            message = f"{request.method} is not allowed; use GET."
            raise RequestError(405, "method_not_allowed", message, headers={"Allow": "GET"})
        # The page names its files relative to its own URL, which may end in a slash.
        name = request.path.removeprefix("console").rpartition("/")[2]
        found = _read(FOLDER / (name or _PAGE)) if (name or _PAGE) in _FILES else None
        if found is None:
            raise RequestError(404, "not_found", "There is no console here, or it has no such file.")
        body, etag = found
        headers = {**_HEADERS, "ETag": etag, "Content-Security-Policy": _policy(services)}
        if etag in request.headers.get("if-none-match", ""):
            return Response(status=304, headers=headers)
        return Response(status=200, headers={"Content-Type": _FILES[name or _PAGE], **headers}, body=body)

    def error(self, error: RequestError) -> Response:
        """A rejection as a line of text."""
        headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff", **error.headers}
        return Response(status=error.status, headers=headers, body=f"{error.message}\n".encode())


FACE = ConsoleFace()


def _read(path: Path) -> tuple[bytes, str] | None:
    """A file and its ETag."""
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return None
    return body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _policy(services: Services) -> str:
    """What the page may load: its own files, and pictures from where the API redirects to for large ones."""
    bucket = urlsplit(services.outputs.presigned(StoredFile.of_key("any")))
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self' blob: data: {bucket.scheme}://{bucket.netloc}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
