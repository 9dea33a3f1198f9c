"""Fetches http and https links, from public addresses only."""

import asyncio
from typing import Self

import httpx

from queue_agent.errors import InputFault
from queue_agent.inputs.addresses import resolve

MAX_REDIRECTS = 3


class Web:
    """Guarded HTTP.

    Every hop's host is resolved once, checked, and connected to by that very address, so that a name cannot point
    elsewhere the second time it is asked.

    Args:
        allow_loopback: Whether links may point to this machine.
        timeout_s: For a whole link, redirects included.
    """

    def __init__(self, *, allow_loopback: bool, timeout_s: float = 60) -> None:
        self._allow_loopback = allow_loopback
        self._timeout_s = timeout_s
        # trust_env off: a proxy from the environment would resolve names again, behind the guard.
        self._client = httpx.AsyncClient(
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(10, read=30),
            # Uncompressed: a small body must not unpack to a large one.
            headers={"User-Agent": "sd-on-eks-queue-agent", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, url: str, max_bytes: int) -> bytes:
        """Fetch a link's content.

        Raises:
            InputFault: It cannot be had: bad link, private address, error status, too large, too slow.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(url, max_bytes)
        except TimeoutError:
            raise InputFault(f"did not arrive within {self._timeout_s:g} s") from None
        except httpx.InvalidURL as exc:
            raise InputFault("is no valid link") from exc
        except httpx.HTTPError as exc:
            raise InputFault(f"could not be fetched ({type(exc).__name__})") from exc

    async def _follow(self, url: str, max_bytes: int) -> bytes:
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
                    return await _read(response, target.host, max_bytes)
                target = target.join(response.headers.get("location", ""))
            finally:
                await response.aclose()
        raise InputFault(f"redirects more than {MAX_REDIRECTS} times")


async def _read(response: httpx.Response, host: str, max_bytes: int) -> bytes:
    if response.status_code != httpx.codes.OK:
        raise InputFault(f"was answered {response.status_code} by {host}")
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > max_bytes:
            raise InputFault(f"is larger than {max_bytes} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
