"""A proxy that makes every AWS call as slow as it is within a region."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

from local.ports import free_port

ROUND_TRIPS_S: Mapping[str, float] = {"s3": 0.060, "sns": 0.025, "sqs": 0.012, "dynamodb": 0.008}
"""What a call of each service takes within a region, on top of what it takes here."""

_SCOPE = re.compile(r"\d{8}(?:/|%2F)[a-z0-9-]+(?:/|%2F)([a-z0-9]+)(?:/|%2F)aws4_request", re.IGNORECASE)
_OF_THE_CONNECTION = ("Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length", "Date", "Server")


class Wire:
    """Listens on a port and passes every request on, half of the round trip late, as is the answer.

    An async context manager. It keeps its clients' connections open although moto closes each one after a call, which
    AWS does not. A client that hangs up ends its call, as a long poll would end.

    Attributes:
        port: Where it listens.
        open_calls: How many calls of each name wait for their answer, such as "sqs ReceiveMessage".
    """

    def __init__(self, upstream_port: int) -> None:
        self.port = free_port()
        self.open_calls: Counter[str] = Counter()
        self._upstream = f"http://127.0.0.1:{upstream_port}"

    async def __aenter__(self) -> Self:
        """Listen."""
        self._http = aiohttp.ClientSession(auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None))
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Hang up on everybody."""
        await self._runner.cleanup()
        await self._http.close()

    async def _pass_on(self, request: web.Request) -> web.Response:
        service = service_of(request)
        name = f"{service} {request.headers.get('X-Amz-Target', request.method).rpartition('.')[2]}"
        half_s = ROUND_TRIPS_S.get(service, 0.0) / 2
        self.open_calls[name] += 1
        try:
            body = await request.read()
            await asyncio.sleep(half_s)
            url = URL(f"{self._upstream}{request.raw_path}", encoded=True)
            async with self._http.request(request.method, url, headers=request.headers, data=body) as answer:
                content = await answer.read()
            await asyncio.sleep(half_s)
        finally:
            self.open_calls[name] -= 1
        headers = answer.headers.copy()
        for header in _OF_THE_CONNECTION:
            headers.popall(header, None)
        return web.Response(status=answer.status, headers=headers, body=content)


def service_of(request: web.Request) -> str:
    """The service of a call, which the scope of its signature names."""
    scope = _SCOPE.search(request.headers.get("Authorization") or request.raw_path)
    return scope[1].lower() if scope else "unsigned"
