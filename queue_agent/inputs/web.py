"""Fetches http and https links, from public addresses only."""

from collections.abc import Callable
from typing import Self

import httpx

from queue_agent.errors import InputFault
from queue_agent.inputs.addresses import resolve

MAX_REDIRECTS = 3
_COMPRESSED = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})
"""Codings that change a file's bytes. Names that mean nothing, such as base64, are found on plain files."""


class Web:
    """Guarded HTTP.

    Every hop's host is resolved once, checked, and connected to by that very address, so that a name cannot point
    elsewhere the second time it is asked.

    Args:
        allow_loopback: Whether links may point to this machine.
    """

    def __init__(self, *, allow_loopback: bool) -> None:
        self._allow_loopback = allow_loopback
        # trust_env off: a proxy from the environment would resolve names again, behind the guard.
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(10, read=30),
            # A wish, which some servers do not heed.
            headers={"User-Agent": "sd-on-eks-queue-agent", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, url: str, count: Callable[[int], None]) -> bytes:
        """Fetch a link's content, redirects included. How long that may take is the caller's to say.

        Args:
            url: The link.
            count: Is told of all bytes as they arrive, and may raise if they are too many.

        Raises:
            InputFault: It cannot be had: bad link, private address, error status, compressed.
        """
        try:
            return await self._follow(url, count)
        except httpx.InvalidURL as exc:
            raise InputFault("is no valid link") from exc
        except httpx.HTTPError as exc:
            raise InputFault(f"could not be fetched ({type(exc).__name__})") from exc

    async def _follow(self, url: str, count: Callable[[int], None]) -> bytes:
        target = httpx.URL(url)
        for _ in range(MAX_REDIRECTS + 1):
            if target.scheme not in {"http", "https"} or not target.host:
                raise InputFault(f"leads to a {target.scheme or 'relative'} link, which is not fetched")
            port = target.port or (443 if target.scheme == "https" else 80)
            address = await resolve(target.host, port, allow_loopback=self._allow_loopback)
            request = self._client.build_request(
                "GET",
                target.copy_with(host=address),
                headers={"Host": target.netloc.decode("ascii").rpartition("@")[2]},
                # The certificate must be the name's, although the address is dialled.
                extensions={"sni_hostname": target.host},
            )
            response = await self._client.send(request, stream=True)
            try:
                if not response.is_redirect:
                    return await _read(response, target.host, count)
                target = target.join(response.headers.get("location", ""))
            finally:
                await response.aclose()
        raise InputFault(f"redirects more than {MAX_REDIRECTS} times")


async def _read(response: httpx.Response, host: str, count: Callable[[int], None]) -> bytes:
    """Read a body as it comes: unpacked, a few bytes may be gigabytes."""
    if response.status_code != httpx.codes.OK:
        raise InputFault(f"was answered {response.status_code} by {host}")
    codings = response.headers.get_list("content-encoding", split_commas=True)
    if compressed := [coding for coding in codings if coding.lower() in _COMPRESSED]:
        raise InputFault(f"was answered compressed ({compressed[0]}) by {host}; only uncompressed files are taken")
    data = bytearray()  # one piece: chunks of a few bytes would each cost dozens
    async for chunk in response.aiter_raw():
        count(len(chunk))
        data += chunk
    return bytes(data)
