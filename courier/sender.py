"""Posts a webhook to an untrusted receiver: it may be slow, redirect, answer endlessly, or be a private host."""

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import httpcore

from contract.addresses import is_public
from contract.webhooks import url_problems
from egress.network import GuardedBackend, NameServerError, UnreachableHostError

TIMEOUT_S = 15.0
"""Limit from the look-up of the host's name to the answer's headers."""
_MAX_BODY_BYTES = 4 * 1024
_READ_S = 1.0
"""Limit for reading and discarding the answer's body, so that few receivers see a broken connection."""
_USER_AGENT = "sd-on-eks-webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverAnswer:
    """What a receiver answered.

    Attributes:
        status: The HTTP status; None if there was no answer.
        problem: Why the attempt failed, in a sentence; None if it succeeded.
        retry_after: The Retry-After header; "" if there is none.
    """

    status: int | None = None
    problem: str | None = None
    retry_after: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more webhooks of this job."""
        return self.status == HTTPStatus.GONE


class WebhookSender:
    """Posts webhooks. Every call has its own connection, to an address that was checked.

    ``allow_private`` allows http and all addresses.
    """

    def __init__(self, *, allow_private: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._allow_private = allow_private
        self._timeout_s = timeout_s
        self._tls = ssl.create_default_context()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverAnswer:
        """Post a body without following redirects. Never raises because of the receiver."""
        # The rules may have changed since the job was accepted.
        if problems := url_problems(url, allow_private=self._allow_private):
            return ReceiverAnswer(problem=f"The URL {problems[0]}.")
        return asyncio.run(self._post(url, headers, body))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverAnswer:
        common = {"Host": urlsplit(url).netloc, "Content-Type": "application/json", "User-Agent": _USER_AGENT}
        lines = [*{**common, **headers}.items(), ("Content-Length", str(len(body)))]
        request = httpcore.Request("POST", _place(url), headers=lines, content=body)
        backend = GuardedBackend(_anywhere if self._allow_private else is_public, max_bytes=_MAX_BODY_BYTES)
        try:
            async with httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
                async with asyncio.timeout(self._timeout_s):
                    response = await pool.handle_async_request(request)
                try:
                    await _drain(response)
                finally:
                    await response.aclose()
        except TimeoutError:
            return ReceiverAnswer(problem=f"The receiver did not answer within {self._timeout_s:g} s.")
        except UnreachableHostError as exc:
            return ReceiverAnswer(problem=f"The URL {exc}.")
        except NameServerError as exc:
            return ReceiverAnswer(problem=str(exc))
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
            return ReceiverAnswer(problem=f"The receiver did not answer ({type(exc).__name__}).")
        finally:
            backend.close()
        return _answer(response)


def _anywhere(_: object) -> bool:
    return True


def _place(url: str) -> httpcore.URL:
    """A URL for httpcore, whose own parser drops everything after a semicolon."""
    parts = urlsplit(url)
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    return httpcore.URL(scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=target)


async def _drain(response: httpcore.Response) -> None:
    with contextlib.suppress(TimeoutError, httpcore.NetworkError, httpcore.ProtocolError):
        async with asyncio.timeout(_READ_S):
            async for _ in response.aiter_stream():
                pass


def _answer(response: httpcore.Response) -> ReceiverAnswer:
    status = response.status
    problem = None
    if HTTPStatus(300) <= status < HTTPStatus.BAD_REQUEST:
        problem = f"The receiver answered {status}; redirects are not followed."
    elif not HTTPStatus.OK <= status < HTTPStatus(300):
        problem = f"The receiver answered {status}."
    retry_after = b"".join(value for name, value in response.headers if name.lower() == b"retry-after")
    return ReceiverAnswer(status=status, problem=problem, retry_after=retry_after.decode("latin-1"))
