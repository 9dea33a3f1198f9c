"""A proxy that disturbs HTTP as networks and services do on bad days."""

import asyncio
import contextlib
import fnmatch
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer", "content-length", "date"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request, as rules match it."""

    name: str
    """The operation, such as ``s3:PutObject`` or ``POST /prompt``."""
    path: str
    """The path, for rules about certain objects."""
    protocol: str = ""
    """The format of the service's errors; see ``actions``."""


class Exchange:
    """A request in the proxy; an action decides what happens to it."""

    def __init__(self, proxy: "FaultProxy", call: Call, request: web.Request, body: bytes) -> None:
        self.call = call
        self.request = request
        self.body = body
        self._proxy = proxy

    async def forward(self) -> web.Response:
        """Forward the request; return the service's answer."""
        return await self._proxy.forward(self)

    def reset(self) -> web.Response:
        """Break the connection with a TCP reset."""
        transport = self.request.transport
        if transport is not None:
            peer = transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        return web.Response()


Action = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(kw_only=True)
class Rule:
    """An action on calls whose names and paths match shell patterns."""

    calls: str
    path: str = "*"
    action: Action
    times: int | None = None
    """How many calls it applies to; None for all."""
    for_s: float | None = None
    """How long it applies, from its first call; None for ever."""
    hits: int = 0
    """How many calls it has applied to."""
    _began_s: float | None = None

    def takes(self, call: Call) -> bool:
        """Whether the rule applies to this call, which then counts as a hit."""
        if not (fnmatch.fnmatchcase(call.name, self.calls) and fnmatch.fnmatchcase(call.path, self.path)):
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        now_s = time.monotonic()
        if self.for_s is not None and self._began_s is not None and now_s > self._began_s + self.for_s:
            return False
        self._began_s = self._began_s or now_s
        self.hits += 1
        return True


class Network(threading.Thread):
    """The event loop of all proxies of a test run."""

    def __init__(self) -> None:
        super().__init__(name="network", daemon=True)
        self.loop = asyncio.new_event_loop()
        self.start()

    def run(self) -> None:
        self.loop.run_forever()

    def do(self, work: Any) -> Any:
        """Run a coroutine in the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.join(10)


class FaultProxy:
    """Stands in front of one upstream, and forwards all calls without a rule.

    ``name_of`` derives the call from the request and its body. ``round_trip_s`` is the network time of calls in
    seconds, by pattern: half before the call, half after.
    """

    def __init__(
        self,
        network: Network,
        upstream: str,
        name_of: Callable[[web.BaseRequest, bytes], Call],
        round_trip_s: dict[str, float] | None = None,
    ) -> None:
        self._network = network
        self._upstream = upstream.rstrip("/")
        self._name_of = name_of
        self._round_trip_s = round_trip_s or {}
        self._rules: list[Rule] = []
        self.came: list[Call] = []
        """All calls, in order of arrival."""
        self.under_way: list[Call] = []
        """Calls without an answer so far."""
        network.do(self._open())

    def rule(self, calls: str, action: Action, **options: Any) -> Rule:
        """Apply an action to calls from now on: to the next ``times``, or for ``for_s`` seconds."""
        rule = Rule(calls=calls, action=action, **options)
        self._rules = [*self._rules, rule]
        return rule

    def lift(self) -> None:
        """Remove all rules."""
        self._rules = []

    def count(self, name: str) -> int:
        """How many calls with a name (a shell pattern) have come."""
        return len(fnmatch.filter([call.name for call in list(self.came)], name))

    def close(self) -> None:
        """Stop listening."""
        self._network.do(self._close())

    async def forward(self, exchange: Exchange) -> web.Response:
        """Forward a request and return its whole answer."""
        request = exchange.request
        headers = {key: value for key, value in request.headers.items() if key.lower() not in _HOP_BY_HOP}
        headers.pop("Expect", None)
        url = aiohttp.client.URL(f"{self._upstream}{request.raw_path}", encoded=True)
        options: Any = {"headers": headers, "data": exchange.body, "allow_redirects": False}
        async with self._session.request(request.method, url, **options) as answer:
            body = await answer.read()
            kept = [(key, value) for key, value in answer.headers.items() if key.lower() not in _HOP_BY_HOP]
            if request.method == "HEAD":
                kept.append(("Content-Length", answer.headers.get("Content-Length", "0")))
            return web.Response(status=answer.status, headers=kept, body=body or None)

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None),
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
        )
        self._runner = web.ServerRunner(
            web.Server(self._handle, handler_cancellation=True, auto_decompress=False, access_log=None),
            shutdown_timeout=0.1,
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = b""
        if not _is_websocket(request):
            if request.headers.get("Expect", "").lower() == "100-continue":
                assert request.transport is not None
                request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await request.content.read()
        call = self._name_of(request, body)
        self.came.append(call)
        self.under_way.append(call)
        try:
            return await self._answer(Exchange(self, call, request, body))
        finally:
            self.under_way = [one for one in self.under_way if one is not call]

    async def _answer(self, exchange: Exchange) -> web.StreamResponse:
        name = exchange.call.name
        rule = next((rule for rule in self._rules if rule.takes(exchange.call)), None)
        half_s = next((s for calls, s in self._round_trip_s.items() if fnmatch.fnmatchcase(name, calls)), 0.0) / 2
        await asyncio.sleep(half_s)
        try:
            if rule:
                answer = await rule.action(exchange)
            else:
                answer = await (
                    self._tunnel(exchange.request) if _is_websocket(exchange.request) else exchange.forward()
                )
        except aiohttp.ClientError:
            return exchange.reset()
        await asyncio.sleep(half_s)
        return answer

    async def _tunnel(self, request: web.BaseRequest) -> web.StreamResponse:
        near = web.WebSocketResponse(max_msg_size=0, autoping=False)
        async with self._session.ws_connect(f"{self._upstream}{request.raw_path}", max_msg_size=0) as far:
            await near.prepare(request)
            ways = [asyncio.create_task(_pump(near, far)), asyncio.create_task(_pump(far, near))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            with contextlib.suppress(ConnectionError, RuntimeError):
                await near.close()
        return near


def _is_websocket(request: web.BaseRequest) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


async def _pump(source: Any, target: Any) -> None:
    async for message in source:
        if message.type == aiohttp.WSMsgType.TEXT:
            await target.send_str(message.data)
        elif message.type == aiohttp.WSMsgType.BINARY:
            await target.send_bytes(message.data)
