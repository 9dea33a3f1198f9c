"""What can be done to a call; each function returns an act for a rule."""

import asyncio
from collections.abc import Callable

from aiohttp import web
from faultkit.proxy import Act, Exchange


def answer(status: int, body: bytes = b"", content_type: str = "text/plain") -> Act:
    """Answer in the service's place; the deed is not done."""

    async def act(_: Exchange) -> web.StreamResponse:
        return web.Response(status=status, body=body, content_type=content_type)

    return act


def reset(*, after_the_deed: bool = False) -> Act:
    """Break the connection; with ``after_the_deed`` what was asked is done, and only the answer is lost."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        if after_the_deed:
            await exchange.forward()
        return exchange.reset()

    return act


def delay(seconds: float) -> Act:
    """Let the call take longer: first the wait, then the deed."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await exchange.forward()

    return act


def hang(seconds: float = 3600) -> Act:
    """Take the request and say nothing, until the client gives up."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return exchange.reset()

    return act


def half_body() -> Act:
    """Do the deed, announce the whole answer, send half of it and hang up."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        whole = await exchange.forward()
        body = whole.body if isinstance(whole.body, bytes) else b"{}"
        half = web.StreamResponse(status=whole.status, headers={"Content-Length": str(max(len(body), 2))})
        half.content_type = whole.content_type
        await half.prepare(exchange.request)
        await half.write(body[: len(body) // 2] or b"x")
        exchange.reset()
        return half

    return act


def instead(body: bytes, content_type: str = "application/json") -> Act:
    """Do the deed and answer 200 with something else."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        await exchange.forward()
        return web.Response(body=body, content_type=content_type)

    return act


def ended_badly(node_type: str, kind: str, message: str) -> Act:
    """Answer to ComfyUI's history of a job that one of its nodes has failed."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        prompt_id = exchange.call.path.rpartition("/")[2]
        node = {"prompt_id": prompt_id, "node_id": "6", "node_type": node_type, "executed": [], "traceback": []}
        error = {**node, "exception_type": kind, "exception_message": message}
        status = {"status_str": "error", "completed": False, "messages": [["execution_error", error]]}
        return web.json_response({prompt_id: {"prompt": [], "outputs": {}, "status": status, "meta": {}}})

    return act


def cut(deed: Callable[[], object], *, after_the_deed: bool = False) -> Act:
    """Let something of the test's own happen, as a kill, and break the connection; what was asked is done or not."""

    async def act(exchange: Exchange) -> web.StreamResponse:
        if after_the_deed:
            await exchange.forward()
        await asyncio.to_thread(deed)
        return exchange.reset()

    return act
