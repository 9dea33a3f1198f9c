"""Who may call the local AWS where strangers name links: those who know its key, so nothing that follows a link."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

_DENIED = (
    b"<Error><Code>AccessDenied</Code><Message>The request does not name this platform's access key.</Message></Error>"
)

_Start = Callable[..., Any]
_Application = Callable[[dict[str, Any], _Start], Iterable[bytes]]


def demanding(app: _Application, access_key: str) -> _Application:
    """A WSGI application that answers only requests with an access key, in a header or a signed URL.

    moto verifies no signatures, so the key must be a secret.
    """
    wanted = f"Credential={access_key}/"

    def application(environ: dict[str, Any], start_response: _Start) -> Iterable[bytes]:
        if wanted in environ.get("HTTP_AUTHORIZATION", "") or wanted in unquote(environ.get("QUERY_STRING", "")):
            return app(environ, start_response)
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(_DENIED)))]
        start_response("403 Forbidden", headers)
        return [_DENIED]

    return application
