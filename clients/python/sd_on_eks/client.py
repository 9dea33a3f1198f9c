"""The clients, sync and async: both have the methods of ``Calls``, and differ in how they take a call's steps."""

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
"""Each job that is waited for has a connection."""
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
    """A call with one result, which is awaited from the async client."""

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
    """A call with many results, to be iterated over."""

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
    """The calls of the API; ``calls`` has their arguments.

    Args:
        base_url: Where the API is, with its stage, such as ``https://…/prod``.
        api_key: The key. Without both arguments, the environment's SD_URL and SD_API_KEY count, then what ``sd key
            --save`` has saved, then the platform that ``make up`` runs in this folder.
        patience_s: How long to send a request again while the API is busy or cannot be reached.

    Raises:
        NotConfigured: Nothing says where the API is, or with which key.
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
        """A request as httpx takes it. The key goes to the API alone."""
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
    """The API, for programs with threads. One client serves many of them.

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
        """Run many jobs, some at a time, and return each as it has ended, in the order of the requests.

        Args:
            requests: The arguments of ``submit`` for each job.
            concurrency: How many are under way at once.
            progress: Show a bar on stderr, if that is a terminal.

        Raises:
            ApiError, Unreachable: A request is rejected. No further one is submitted; jobs that are go on.
        """
        todo, stopping = [*requests], threading.Event()

        def make(request: Mapping[str, Any]) -> Job:
            if stopping.is_set():
                raise CancelledError  # after the error of a request before it, which is the one that is raised
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
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def perform(self, flow: Flow[T]) -> T:
        """Take the steps of a call with one result, and return that."""
        (result,) = self.iterate(emitting(flow))
        return result

    def iterate(self, flow: Stream[T]) -> Iterator[T]:
        """Take the steps of a call, and yield its results."""
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
    """The API, for programs with an event loop.

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
        """As ``Client.map``."""
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
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def perform(self, flow: Flow[T]) -> T:
        """Take the steps of a call with one result, and return that."""
        (result,) = [result async for result in self.iterate(emitting(flow))]
        return result

    async def iterate(self, flow: Stream[T]) -> AsyncIterator[T]:
        """Take the steps of a call, and yield its results."""
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
