"""Fetches http and https links, from public addresses only."""

import asyncio
import base64
import re
from collections.abc import Callable
from typing import Self
from urllib.parse import unquote_to_bytes

import httpcore
import httpx

from contract.addresses import is_public
from contract.inputs import MAX_LINK_BYTES
from egress.network import Address, GuardedBackend, NameServerError, UnreachableHostError
from queue_agent.errors import AgentError, HostLookupError, InputError

MAX_REDIRECTS = 3
PAUSES_S = (0.5, 2.0)
"""Before each further attempt at a link that is unavailable for the moment."""
MAX_WIRE_BYTES = 2 * MAX_LINK_BYTES
"""Of all that an origin sends: chunked encoding may take more than the body itself."""

_MAX_PAUSE_S = 5.0
"""The longest pause that an origin may ask for."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHOLE = frozenset({200, 203})
_PARTIAL = 206
_WHOLE_RANGE = re.compile(r"bytes 0-(\d+)/(\d+)")
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
"""Codings that change a file's bytes. Meaningless names, such as base64, occur on plain files."""
_TIMEOUTS_S = {"connect": 5.0, "read": 10.0, "write": 10.0}
_MAX_PORT = 65535
_PIECES_AT_ONCE = 64
"""A body of tiny pieces is read with pauses in which the event loop does other work."""


class LinkUnavailable(Exception):  # noqa: N818 (as all errors of the agent's tree)
    """A link cannot be read now, but perhaps after ``pause_s``; ``error`` is what it is if it stays so."""

    def __init__(self, error: AgentError, pause_s: float = 0) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause_s = pause_s


class Web:
    """Guarded HTTP.

    Every request has its own connection, to an address that was checked and, for https, with the certificate of the
    named host. No cookies or other state pass from one response to another request.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        may_reach = _is_public_or_loopback if allow_loopback else is_public
        self._backend = GuardedBackend(may_reach, max_bytes=MAX_WIRE_BYTES)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=self._backend,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()
        self._backend.close()

    async def get(self, url: str, count: Callable[[int], None]) -> bytes:
        """Fetch a link's content and follow redirects; the caller limits the time.

        ``count`` is called with the number of bytes as they arrive, and raises if they are too many; a negative number
        takes back those of a response that broke off. InputError says why a link cannot be fetched; HostLookupError,
        that the name server does not answer.
        """
        for pause_s in PAUSES_S:
            try:
                return await self._follow(url, count)
            except LinkUnavailable as exc:
                await asyncio.sleep(max(pause_s, exc.pause_s))
        try:
            return await self._follow(url, count)
        except LinkUnavailable as exc:
            raise exc.error from exc

    async def _follow(self, url: str, count: Callable[[int], None]) -> bytes:
        target = _target(url)
        for _ in range(MAX_REDIRECTS + 1):
            found = await self._ask(target, count)
            if isinstance(found, bytes):
                return found
            target = found
        raise InputError(f"redirects more than {MAX_REDIRECTS} times")

    async def _ask(self, target: httpx.URL, count: Callable[[int], None]) -> bytes | httpx.URL:
        """Send one request; returns the content, or where to find it instead."""
        host = target.raw_host.decode("ascii")
        request = httpcore.URL(scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path)
        extensions = {"timeout": _TIMEOUTS_S}
        try:
            async with self._pool.stream("GET", request, headers=_headers(target), extensions=extensions) as response:
                if response.status in _REDIRECTS and (location := _header(response, b"location")):
                    return _target(location, target)
                return await _read(response, host, count)
        except UnreachableHostError as exc:
            raise InputError(str(exc)) from exc
        except NameServerError as exc:
            raise LinkUnavailable(HostLookupError(str(exc))) from exc
        except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError) as exc:
            raise InputError("is not a valid link") from exc
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError) as exc:
            raise LinkUnavailable(InputError(f"could not be fetched from {host} ({type(exc).__name__})")) from exc


def _is_public_or_loopback(address: Address) -> bool:
    return address.is_loopback or is_public(address)


def _target(url: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        target = base.join(url) if base else httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise InputError("is not a valid link") from exc
    if target.scheme not in {"http", "https"}:
        raise InputError(
            f"redirects to a link of scheme {target.scheme[:20] or 'none'}; only http and https are fetched"
        )
    if not target.raw_host or not (target.port is None or 0 < target.port <= _MAX_PORT):
        raise InputError("is not a valid link: it has no host, or a port that does not exist")
    return target


def _headers(target: httpx.URL) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"Host", target.netloc),
        (b"User-Agent", b"sd-on-eks-queue-agent"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),  # some servers ignore it
    ]
    if target.userinfo:
        name, _, password = target.userinfo.partition(b":")
        encoded = base64.b64encode(unquote_to_bytes(name) + b":" + unquote_to_bytes(password))
        headers.append((b"Authorization", b"Basic " + encoded))
    return headers


def _header(response: httpcore.Response, name: bytes) -> str:
    """All values of a header; origins that write more than ASCII write UTF-8."""
    values = b", ".join(value for key, value in response.headers if key.lower() == name)
    try:
        return values.decode("utf-8")
    except UnicodeDecodeError:
        return values.decode("latin-1")


async def _read(response: httpcore.Response, host: str, count: Callable[[int], None]) -> bytes:
    """Read a body as it arrives, without unpacking it: a few bytes may become gigabytes."""
    _check(response, host)
    data = bytearray()  # as one object: a list of tiny chunks takes many times their size
    pieces = 0
    try:
        async for chunk in response.aiter_stream():
            count(len(chunk))
            data += chunk
            pieces += 1
            if pieces % _PIECES_AT_ONCE == 0:
                await asyncio.sleep(0)
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.RemoteProtocolError):
        count(-len(data))
        raise
    return bytes(data)


def _check(response: httpcore.Response, host: str) -> None:
    """Make sure that the body is the whole file, uncompressed."""
    status = response.status
    if status in _PASSING:
        pause_s = _seconds(_header(response, b"retry-after"))
        raise LinkUnavailable(InputError(f"failed: {host} answered {status}"), pause_s)
    if status == _PARTIAL:
        part = _WHOLE_RANGE.fullmatch(_header(response, b"content-range").strip())
        if part is None or int(part[1][:20]) + 1 != int(part[2][:20]):
            raise InputError(f"failed: {host} answered {status} with only a part of the file")
    elif status not in _WHOLE:
        raise InputError(f"failed: {host} answered {status}")
    codings = [coding.strip() for coding in _header(response, b"content-encoding").split(",")]
    if compressed := [coding for coding in codings if coding.lower() in _COMPRESSED]:
        raise InputError(f"is served compressed ({compressed[0]}) by {host}; only uncompressed files are accepted")


def _seconds(retry_after: str) -> float:
    """The pause that an origin asks for, up to the longest; 0 where it names a date, or nothing."""
    digits = retry_after.strip()
    return min(float(digits), _MAX_PAUSE_S) if digits.isascii() and digits.isdecimal() else 0.0
