"""``sd webhook listen``: a receiver of webhooks, for development."""

from __future__ import annotations

from argparse import Namespace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from sd_on_eks.cli.screen import Screen
from sd_on_eks.client import Client
from sd_on_eks.errors import InvalidWebhook
from sd_on_eks.webhooks import verify_webhook

_MAX_BODY_BYTES = 1024 * 1024


def listen(options: Namespace, screen: Screen) -> bool:
    """Print webhooks until Ctrl-C. Webhooks not signed with the secret are answered 401."""
    secret = options.secret
    if secret is None:
        with Client() as sd:
            secret = sd.webhook_secret().secret

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = self.headers.get("content-length", "0")
            body = self.rfile.read(min(int(length), _MAX_BODY_BYTES) if length.isdecimal() else 0)
            self.send_response(_received(body, dict(self.headers.items()), secret, screen))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((options.host, options.port), Receiver) as server:
        screen.note(f"Listening on http://{options.host}:{server.server_port}; press Ctrl-C to stop.")
        server.serve_forever()
    return True


def _received(body: bytes, headers: dict[str, str], secret: str, screen: Screen) -> HTTPStatus:
    try:
        event = verify_webhook(body, headers, secret)
    except InvalidWebhook as exc:
        screen.complain(f"Rejected: {exc}")
        return HTTPStatus.UNAUTHORIZED
    if screen.as_json:
        screen.data(event)
    else:
        job = event.data
        screen.say(f"{event.timestamp:%H:%M:%S}  {event.type:<13}  {job.get('job')}  {job.get('state')}")
    return HTTPStatus.NO_CONTENT
