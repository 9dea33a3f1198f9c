"""The API's own description, for programs and for people."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from api.faces.v1.routes import ApiCall, Routes
from api.http import JSON, Answer, Response
from runtimes.spec import load

ROUTES = Routes()
_DOCUMENT = "api.faces.v1.openapi:document"
"""Loaded when somebody asks for it: no other request needs to wait for it."""
_PAGE = Path(__file__).with_name("docs.html")
_CACHED = {"Cache-Control": "private, max-age=300"}


@ROUTES.add("GET", "/openapi.json", answers={200: JSON}, is_public=True)
def get_openapi(call: ApiCall) -> Answer:
    """Get this document.

    It is an OpenAPI 3.1 document, from which you can generate clients.
    """
    document = load(_DOCUMENT)(call.services.catalog)
    return Response.json(200, {**document, "servers": [{"url": call.request.base_url or "/"}]}, _CACHED)


@ROUTES.add("GET", "/docs", answers={200: "text/html"}, is_public=True)
def get_docs(call: ApiCall) -> Answer:  # noqa: ARG001 (a handler's)
    """Get a page that shows this document.

    You can try requests there. The page loads nothing from other sites and keeps the key in memory only.
    """
    return _page()


@cache
def _page() -> Response:
    html = _PAGE.read_text(encoding="utf-8")
    style, script = (_source(html, tag) for tag in ("style", "script"))
    policy = (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src 'self'; img-src blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        **_CACHED,
    }
    return Response(status=200, headers=headers, body=html.encode())


def _source(html: str, tag: str) -> str:
    """The page's one element of a kind, as a Content-Security-Policy allows it: by its hash."""
    (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
