"""The sync and the async client. Both have the methods of ``Calls``; they differ in how they run a call's steps."""

from __future__ import annotations

import asyncio
import builtins
import functools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack, aclosing, closing
from typing import Any, Generic, TypeVar, overload

import httpx
from typing_extensions import ParamSpec, Self

from sd_on_eks.bars import counting
from sd_on_eks.calls import files, jobs, platform
from sd_on_eks.connection import Connection
from sd_on_eks.errors import ClientError
from sd_on_eks.events import watch
from sd_on_eks.models import Job
from sd_on_eks.steps import Attempt, Do, Emit, Flow, Pause, ReadText, Send, Step, Stream, attempts, emitting

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 60.0
_CONNECT_TIMEOUT_S = 10.0
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=20)
"""Waiting for a job takes a connection of its own."""
_TEXT = "sd_on_eks.text"


class _Method(Generic[P]):
    """A call of the API as a method of either client."""

    def __init__(self, function: Callable[P, Any]) -> None:
        self._function = function
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    def _bound(self, take: Callable[[Any], Any]) -> Callable[P, Any]:
        @functools.wraps(self._function)
        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return take(self._function(*args, **kwargs))

        return method


class One(_Method[P], Generic[P, T]):
    """A call with one result. The async client's method must be awaited."""

    def __init__(self, function: Callable[P, Flow[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: Client, owner: object) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: object) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: object) -> Any:
        return self if client is None else self._bound(client.perform)


class Many(_Method[P], Generic[P, T]):
    """A call with many results. Iterate over it."""

    def __init__(self, function: Callable[P, Stream[T]]) -> None:
        super().__init__(function)

    @overload
    def __get__(self, client: Client, owner: object) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, client: AsyncClient, owner: object) -> Callable[P, AsyncIterator[T]]: ...
    @overload
    def __get__(self, client: None, owner: object) -> Self: ...
    def __get__(self, client: Client | AsyncClient | None, owner: object) -> Any:
        return self if client is None else self._bound(client.iterate)


class Calls:
    """The methods that both clients share. The modules in ``calls`` document them.

    Args:
        base_url: URL of the API with its stage, such as ``https://…/prod``. Default: the environment variables SD_URL
            and SD_API_KEY, else what ``sd key --save`` saved, else the platform that ``make up`` runs in this folder.
        api_key: The API key. Default: see ``base_url``.
        patience_s: Seconds for which requests are retried while the API is busy or unreachable.

    Raises:
        NotConfigured: The URL or the API key is missing or unusable.
    """

    submit = One(jobs.submit)
    submit_body = One(jobs.submit_body)
    check = One(jobs.check)
    run = One(jobs.run)
    wait = One(jobs.wait)
    get = One(jobs.get)
    list = Many(jobs.list_jobs)
    watch = Many(watch)
    cancel = One(jobs.cancel)
    retry = One(jobs.retry)
    request = One(jobs.request)
    submit_batch = One(jobs.submit_batch)
    batch = One(jobs.batch)

    save = One(files.save)
    save_preview = One(files.save_preview)
    download = One(files.download)
    upload = One(files.upload)

    runtimes = One(platform.runtimes)
    runtime = One(platform.runtime)
    schema = One(platform.schema)
    workflow_inputs = One(platform.workflow_inputs)
    workflows = Many(platform.workflows)
    workflow = One(platform.workflow)
    put_workflow = One(platform.put_workflow)
    delete_workflow = One(platform.delete_workflow)
    usage = One(platform.usage)
    webhook_secret = One(platform.webhook_secret)
    rotate_webhook_secret = One(platform.rotate_webhook_secret)
    deliveries = One(platform.deliveries)
    replay = One(platform.replay)

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        self.connection = Connection.find(base_url, api_key)
        self._patience_s = patience_s

    def _arguments(self, request: Send) -> dict[str, Any]:
        """Return httpx's arguments for a request. Only requests to the API carry the key."""
        root = f"{self.connection.url}/"
        url = request.path if "://" in request.path else f"{root}v1{request.path}"
        key = {"x-api-key": self.connection.api_key} if url.startswith(root) else {}
        return {
            "method": request.method,
            "url": url,
            "params": {name: value for name, value in request.params.items() if value is not None} or None,
            "json": request.json,
            "content": request.content,
            "files": request.files,
            "headers": {**key, **request.headers},
            "timeout": httpx.Timeout(request.timeout_s, connect=_CONNECT_TIMEOUT_S),
        }


class Client(Calls):
    """Synchronous client. Threads can share one.

    Example:
        >>> with Client() as sd:
        ...     job = sd.run(runtime="sdruntime", type="text-to-image", content={"prompt": "A lighthouse at dusk"})
        ...     print(sd.save(job, "out"))
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        super().__init__(base_url, api_key, patience_s=patience_s)
        self._http = httpx.Client(limits=_LIMITS)

    def map(
        self, requests: Iterable[Mapping[str, Any]], *, concurrency: int = 16, progress: bool = False
    ) -> builtins.list[Job]:
        """Run many jobs and return them once all have ended, in the order of the requests.

        Failed jobs are returned too: check ``succeeded``.

        Args:
            requests: The arguments of ``submit`` for each job.
            concurrency: Maximum number of jobs at a time.
            progress: Whether to show a progress bar on stderr, if it is a terminal.

        Raises:
            ApiError, Unreachable: A request failed. No more jobs are submitted; those already submitted keep running.
        """
        todo, stopping = [*requests], threading.Event()

        def make(request: Mapping[str, Any]) -> Job:
            if stopping.is_set():
                raise CancelledError  # map raises the error of the earlier request instead
            try:
                job = self.submit(**request)
                while not (job.has_ended or stopping.is_set()):
                    job = self.get(job, wait_s=jobs.LONG_POLL_S)
            except ClientError:
                stopping.set()
                raise
            return count(job)

        with counting(len(todo), is_shown=progress) as count, ThreadPoolExecutor(concurrency) as threads:
            try:
                return [*threads.map(make, todo)]
            finally:
                stopping.set()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def perform(self, flow: Flow[T]) -> T:
        """Run the steps of a call with one result, and return it."""
        (result,) = self.iterate(emitting(flow))
        return result

    def iterate(self, flow: Stream[T]) -> Iterator[T]:
        """Run the steps of a call, and yield its results."""
        outcome, error = None, None
        with ExitStack() as responses:
            while True:
                try:
                    step = flow.send(outcome) if error is None else flow.throw(error)
                except StopIteration:
                    return
                outcome, error = None, None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    outcome = self._take(step)
                except Exception as exc:  # noqa: BLE001 (the call decides)
                    error = exc
                if isinstance(step, Send) and step.is_stream and outcome is not None:
                    responses.callback(outcome.close)

    def _take(self, step: Step) -> Any:
        match step:
            case Send():
                return self.perform(attempts(step, self._patience_s))
            case Attempt(request):
                response = self._http.send(self._http.build_request(**self._arguments(request)), stream=True)
                response.extensions[_TEXT] = response.iter_text()
                if response.is_error or not request.is_stream:
                    with closing(response):
                        response.read()
                return response
            case ReadText(response):
                return next(response.extensions[_TEXT], None)
            case Pause(seconds):
                return time.sleep(seconds)
            case Do(function):
                return function()


class AsyncClient(Calls):
    """Client for asyncio.

    Example:
        >>> async with AsyncClient() as sd:
        ...     job = await sd.submit(runtime="sdruntime", type="text-to-image", content={"prompt": "A lighthouse"})
        ...     async for event in sd.watch(job):
        ...         print(event.kind, event.data)
    """

    def __init__(
        self, base_url: str | None = None, api_key: str | None = None, *, patience_s: float = PATIENCE_S
    ) -> None:
        super().__init__(base_url, api_key, patience_s=patience_s)
        self._http = httpx.AsyncClient(limits=_LIMITS)

    async def map(
        self, requests: Iterable[Mapping[str, Any]], *, concurrency: int = 16, progress: bool = False
    ) -> builtins.list[Job]:
        """See ``Client.map``."""
        todo, free = [*requests], asyncio.Semaphore(concurrency)

        async def make(request: Mapping[str, Any]) -> Job:
            async with free:
                return count(await self.wait(await self.submit(**request)))

        with counting(len(todo), is_shown=progress) as count:
            tasks = [asyncio.ensure_future(make(request)) for request in todo]
            try:
                return await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def perform(self, flow: Flow[T]) -> T:
        """Run the steps of a call with one result, and return it."""
        (result,) = [result async for result in self.iterate(emitting(flow))]
        return result

    async def iterate(self, flow: Stream[T]) -> AsyncIterator[T]:
        """Run the steps of a call, and yield its results."""
        outcome, error = None, None
        async with AsyncExitStack() as responses:
            while True:
                try:
                    step = flow.send(outcome) if error is None else flow.throw(error)
                except StopIteration:
                    return
                outcome, error = None, None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    outcome = await self._take(step)
                except Exception as exc:  # noqa: BLE001 (the call decides)
                    error = exc
                if isinstance(step, Send) and step.is_stream and outcome is not None:
                    responses.push_async_callback(outcome.aclose)

    async def _take(self, step: Step) -> Any:
        match step:
            case Send():
                return await self.perform(attempts(step, self._patience_s))
            case Attempt(request):
                response = await self._http.send(self._http.build_request(**self._arguments(request)), stream=True)
                response.extensions[_TEXT] = response.aiter_text()
                if response.is_error or not request.is_stream:
                    async with aclosing(response):
                        await response.aread()
                return response
            case ReadText(response):
                return await anext(response.extensions[_TEXT], None)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Do(function):
                return await asyncio.to_thread(function)
