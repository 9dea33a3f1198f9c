"""An AWS service as a server of our own plays it: it answers by a list, and notes every request."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "eu-central-1"
KEYS = Credentials("AKID", "secret", "token")
CUT = None
"""The connection is closed instead of an answer."""


class Request(NamedTuple):
    """A request as it arrived."""

    method: str
    url: str
    headers: dict
    body: bytes

    def is_signed_by(self, keys, service, signature=SigV4Auth):
        """Whether AWS, who reckons it anew from what arrives, would come to the same signature."""
        _, _, signed = self.headers["Authorization"].partition("SignedHeaders=")
        names = signed.partition(",")[0].split(";")
        lower = {name.lower(): value for name, value in self.headers.items()}
        request = AWSRequest(self.method, self.url, {name: lower[name] for name in names}, self.body)
        request.context["timestamp"] = self.headers["X-Amz-Date"]
        auth = signature(keys, service, REGION)
        expected = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        return self.headers["Authorization"].endswith(f"={expected}")


class Service:
    """Gives its answers in turn, the last one for ever; new keys with every request for some, good for a minute."""

    def __init__(self):
        self.url = ""
        self.answers = [(200, b"")]
        self.requests = []
        self.keys = []

    async def answer(self, request):
        self.requests.append(Request(request.method, str(request.url), dict(request.headers), await request.read()))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is CUT:
            request.transport.close()
            return web.Response()
        status, body = answer
        return web.Response(status=status, body=body)

    async def give_keys(self, _):
        number = len(self.keys)
        self.keys.append(Credentials(f"AKID{number}", f"secret-{number}", f"token-{number}"))
        end = datetime.now(UTC) + timedelta(minutes=1)
        return web.json_response(
            {
                "AccessKeyId": self.keys[-1].access_key,
                "SecretAccessKey": self.keys[-1].secret_key,
                "Token": self.keys[-1].token,
                "Expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
