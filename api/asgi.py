"""The shell for one machine and for plain Kubernetes: ``python -m api.asgi``, an ASGI application under uvicorn.

It reads the API's keys from a file, and waits as long as a caller wants.
"""

import argparse
import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from api.access_log import log_request
from api.door import Door
from api.errors import RequestError, UnauthorizedError
from api.faces import ROOTS, SOCKETS
from api.http import Answer, Download, Request, Response, Stream, Wait
from api.key_ring import KeyRing
from api.limits import Limiter
from api.operations.files import UPLOAD_S, UPLOADS_PATH
from api.request import MAX_BODY_BYTES
from api.services import Services
from api.waiting import COMMENT, COMMENT_EVERY_S
from api.watching import Watcher
from jobs.job import Job

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

_OWN_MACHINE = frozenset({"127.0.0.1", "::1"})
_BODY_S = 60.0
"""Within which a body must arrive: each that does not is up to 10 MiB of memory."""
_DUE_EVERY_S = 1.0
_RATE, _BURST = 10_000.0, 5_000
"""API Gateway's own for an account ("Amazon API Gateway quotas")."""
_KEYLESS = {"v1", "console", "replicate"}
"""The faces with calls that need no key; they reject the others themselves."""

logger = logging.getLogger(__name__)


class Application:
    """Answers HTTP requests by the door, in threads, and waits for jobs in the event loop.

    ``prefix`` comes before the API's paths, such as ``/dev``; other paths are not found. ``face`` is the one that has
    all these paths to itself, since its clients cannot be given a path; "" for all faces, each below its own.
    ``proxies`` are the addresses whose X-Forwarded-Proto and X-Forwarded-Host are believed; ``*`` is every one.
    ``limiter`` says what each key may take.
    """

    def __init__(
        self,
        door: Door,
        services: Services,
        keys: KeyRing,
        limiter: Limiter,
        *,
        prefix: str = "",
        face: str = "",
        proxies: Collection[str] = _OWN_MACHINE,
    ) -> None:
        self._door = door
        self._services = services
        self._keys = keys
        self._limiter = limiter
        self._prefix = prefix
        self._face = face
        self._proxies = proxies
        self._watcher = Watcher(services.jobs)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI 3)."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await self._serve_socket(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        began_s = time.monotonic()
        request = self._head(scope)
        status, sent = 200, b""
        with ExitStack() as taken:
            answer = self._root(scope) or await self._answered(request, receive, taken)
            match answer:
                case Response():
                    status, sent = answer.status, answer.body
                    await _send(send, answer)
                case Stream():
                    await self._stream(answer, receive, send)
                case Download():
                    await self._send_file(answer, request, send)
        log_request(request.method, scope["path"], status, time.monotonic() - began_s, sent)

    async def _answered(self, request: Request, receive: Receive, taken: ExitStack) -> Response | Stream | Download:
        """The answer to a request once there is one; ``taken`` ends what it takes of the limits of its key."""
        tenant = request.caller.tenant
        try:
            taken.enter_context(self._limiter.call(tenant))
            if request.method == "PUT" and request.path.startswith(UPLOADS_PATH):
                return await self._uploaded(request, receive, taken)
            if tenant is not None:  # nobody without a key makes the process hold a body; what needs none has none
                with self._limiter.body(tenant, _announced_bytes(request, MAX_BODY_BYTES)):
                    request = replace(request, body=await _body(receive, MAX_BODY_BYTES, _BODY_S))
                taken.enter_context(self._limiter.body(tenant, len(request.body)))
        except Exception as exc:  # noqa: BLE001 (as in the door)
            return self._door.refused(request, exc)
        answer = await asyncio.to_thread(self._answer, request)
        if isinstance(answer, Wait):
            latest = await self._waited(answer, receive)
            return await asyncio.to_thread(self._door.rendered, request, answer, latest)
        return answer

    async def _uploaded(self, request: Request, receive: Receive, taken: ExitStack) -> Response:
        """The answer to an upload that the API has prepared; raises RequestError for others."""
        files = self._services.files
        link = files.announced(request.path.removeprefix(UPLOADS_PATH))
        taken.enter_context(self._limiter.body(link.tenant, _announced_bytes(request, link.size_bytes)))
        body = await _body(receive, link.size_bytes, UPLOAD_S)
        await asyncio.to_thread(files.receive, link, body)
        return Response(status=200)

    def _answer(self, request: Request) -> Answer:
        if request.caller.tenant is None and request.path.partition("/")[0] not in _KEYLESS:
            return self._door.refused(request, UnauthorizedError())
        if len(request.body) > MAX_BODY_BYTES:
            return self._door.refused(request, RequestError(413, "too_large", "A request may have up to 10 MiB."))
        return self._door.answer(request)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a websocket until its client closes it, where a face has one."""
        began_s = time.monotonic()
        await receive()  # websocket.connect
        request = self._head(scope)
        status = 101
        with ExitStack() as taken:
            try:
                serve = _socket_at(request)
                taken.enter_context(self._limiter.socket(request.caller.tenant or ""))
            except RequestError as exc:
                answer = self._door.refused(request, exc)
                status = answer.status
                await _send(send, answer, kind="websocket.http.response")
            else:
                await send({"type": "websocket.accept"})
                told = serve(request, self._services, self._watcher, send)
                await _until_first(told, _disconnected(receive))
        log_request("WEBSOCKET", scope["path"], status, time.monotonic() - began_s)

    def _head(self, scope: Scope) -> Request:
        """A request without its body."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        protocol, host = scope["scheme"], headers.get("host", "")
        if self._is_proxy(scope):
            forwarded = headers.get("x-forwarded-proto", "")
            protocol = forwarded if forwarded in {"http", "https"} else protocol
            host = headers.get("x-forwarded-host", "").partition(",")[0].strip() or host
        return Request(
            method=scope.get("method", "GET"),
            path="/".join(filter(None, (self._face, *self._own_path(scope["path"]).split("/")))),
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers=headers,
            caller=self._keys.caller(headers),
            base_url=f"{protocol}://{host}{self._prefix}",
        )

    def _root(self, scope: Scope) -> Response | None:
        """Leads from the root, where no face is, to the console."""
        is_root = scope["path"] == "/" and self._prefix and scope["method"] in {"GET", "HEAD"}
        return Response(status=302, headers={"Location": f"{self._prefix}/console"}) if is_root else None

    def _is_proxy(self, scope: Scope) -> bool:
        """Whether a request comes through a proxy that says truly by which name and protocol its caller came."""
        peer = (scope.get("client") or ("",))[0]
        return peer in self._proxies or "*" in self._proxies

    def _own_path(self, path: str) -> str:
        inside = path == self._prefix or path.startswith(f"{self._prefix}/")
        return path.removeprefix(self._prefix) if inside else f"/not-under{self._prefix}{path}"

    async def _waited(self, wait: Wait, receive: Receive) -> Job:
        """The last state of a job within the time that its caller waits, and does not go."""
        latest = wait.job
        if wait.is_over(latest) or not wait.seconds:
            return latest

        async def watch() -> None:
            nonlocal latest
            async with aclosing(self._watcher.changes(latest)) as changes:
                async for latest in changes:
                    if wait.is_over(latest):
                        return

        await _until_first(watch(), _disconnected(receive), timeout_s=wait.seconds)
        return latest

    async def _stream(self, stream: Stream, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _raw(stream.headers)})
        # What it raises makes the server break the connection off: a clean end would be taken for the whole.
        await _until_first(self._tell(stream, send), _disconnected(receive))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, stream: Stream, send: Send) -> None:
        loop = asyncio.get_running_loop()
        job, spoke_s = stream.job, loop.time()
        async with aclosing(self._watcher.changes(job)) as changes:
            change = asyncio.ensure_future(anext(changes))
            try:
                while True:
                    now_s = loop.time()
                    texts = stream.source.events(job, now_s)
                    text = await asyncio.to_thread(next, texts, "")
                    if not text and now_s - spoke_s >= COMMENT_EVERY_S:
                        text = COMMENT
                    while text:
                        spoke_s = now_s
                        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                        text = await asyncio.to_thread(next, texts, "")
                    if job.state.is_final:
                        return
                    while not change.done() and not stream.source.is_due(loop.time()):
                        await asyncio.wait({change}, timeout=_DUE_EVERY_S)
                        if loop.time() - spoke_s >= COMMENT_EVERY_S:
                            break
                    if change.done():
                        job = change.result()
                        change = asyncio.ensure_future(anext(changes))
            finally:
                change.cancel()
                await asyncio.wait({change})

    async def _send_file(self, download: Download, request: Request, send: Send) -> None:
        pieces = download.pieces()
        try:
            piece = await asyncio.to_thread(next, pieces, b"")  # before the head, which promises a body
        except Exception as exc:  # noqa: BLE001 (as in the door)
            await _send(send, self._door.refused(request, exc))
            return
        headers = {**download.headers, "Content-Length": str(download.size_bytes)}
        await send({"type": "http.response.start", "status": 200, "headers": _raw(headers)})
        while piece:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await asyncio.to_thread(next, pieces, b"")
        await send({"type": "http.response.body", "body": b""})


def _socket_at(request: Request) -> Callable[..., Coroutine[Any, Any, None]]:
    """What serves a websocket; raises RequestError where there is none, or none for its caller."""
    if request.path not in SOCKETS:
        raise RequestError(404, "not_found", "There is no websocket here.")
    if request.caller.tenant is None:
        raise UnauthorizedError
    module, name = SOCKETS[request.path]
    serve: Callable[..., Coroutine[Any, Any, None]] = getattr(import_module(module), name)
    return serve


def _announced_bytes(request: Request, max_bytes: int) -> int:
    """How much of a request's body will be read at most."""
    if "transfer-encoding" in request.headers:
        return max_bytes
    return min(int(request.headers.get("content-length", "0")), max_bytes)


async def _body(receive: Receive, max_bytes: int, within_s: float) -> bytes:
    """A request's body, or the beginning of one that is too large; raises RequestError if it is not there in time."""
    body = bytearray()
    more = True
    try:
        async with asyncio.timeout(within_s):
            while more and len(body) <= max_bytes:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
    except TimeoutError:
        raise RequestError(408, "too_slow", f"The body did not arrive within {within_s:g} seconds.") from None
    return bytes(body)


async def _until_first(*work: Coroutine[Any, Any, None], timeout_s: float | None = None) -> None:
    """Work until one piece of the work is done, or for some time; nothing of it goes on afterwards.

    Raises:
        Exception: What a piece of the work raises.
    """
    tasks = [asyncio.create_task(piece) for piece in work]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] not in {"http.disconnect", "websocket.disconnect"}:
        pass


async def _send(send: Send, response: Response, *, kind: str = "http.response") -> None:
    headers = {**response.headers, "Content-Length": str(len(response.body))}
    await send({"type": f"{kind}.start", "status": response.status, "headers": _raw(headers)})
    await send({"type": f"{kind}.body", "body": response.body})


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def main() -> None:
    """Serve the API until the process ends."""
    parser = argparse.ArgumentParser(prog="python -m api.asgi")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--prefix", default="", help="what comes before the API's paths, such as /dev")
    parser.add_argument("--face", choices=ROOTS, default="", help="serve this one alone, at the root: for its clients")
    parser.add_argument("--keyless", default="", metavar="ID", help="of the key for which requests without one stand")
    parser.add_argument("--rate-limit", type=float, default=_RATE, help="requests a second of each key (%(default)s)")
    parser.add_argument("--burst-limit", type=int, default=_BURST, help="its requests at once (%(default)s)")
    settings = vars(parser.parse_args())
    if settings["keyless"] and not settings["face"]:
        parser.error("--keyless is for --face alone: the API's other clients all send a key")
    face, prefix = settings.pop("face"), settings.pop("prefix").rstrip("/")
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("api").setLevel(logging.INFO)
    limiter = Limiter(rate=settings.pop("rate_limit"), burst=settings.pop("burst_limit"))
    keys = KeyRing(Path(os.environ["API_KEYS_FILE"]), settings.pop("keyless"))
    services = Services.from_environment({**os.environ, "API_KEYS": keys.ids})
    proxies = frozenset(os.environ.get("FORWARDED_ALLOW_IPS", "").replace(",", " ").split()) or _OWN_MACHINE
    application = Application(Door(services), services, keys, limiter, prefix=prefix, face=face, proxies=proxies)
    # uvicorn itself would put the caller's address in place of the proxy's.
    uvicorn.run(application, access_log=False, log_level="warning", proxy_headers=False, **settings)


if __name__ == "__main__":
    main()
