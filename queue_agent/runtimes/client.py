"""HTTP to the model server beside the agent."""

import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential_jitter

from queue_agent.errors import ModelServerAway, ModelServerFault

logger = logging.getLogger(__name__)

WITHOUT_LIMIT = httpx.Timeout(10, read=None, write=60)
"""For calls that take as long as the GPU takes."""

_ANSWER_S = 20
_LOG_EVERY_S = 30


class ModelServerClient:
    """The server's API, with its failures translated.

    A job answers when it is done, and the pipeline keeps its deadline; all else answers soon or never. Nothing is sent
    twice: a second POST is a second job.

    Args:
        base_url: Where the API is, with or without scheme.
        health_path: A cheap GET on the same host that answers 200 once the server takes jobs.
    """

    def __init__(self, base_url: str, health_path: str) -> None:
        url = base_url if "://" in base_url else f"http://{base_url}"
        self.base_url = httpx.URL(url if url.endswith("/") else f"{url}/")
        self._health_url = self.base_url.copy_with(path=health_path)
        self._http = httpx.AsyncClient(
            base_url=self.base_url,
            trust_env=False,
            timeout=httpx.Timeout(10, read=_ANSWER_S, write=60),
            limits=httpx.Limits(max_connections=16),
        )

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request; any status is an answer.

        Args:
            method: HTTP method.
            path: Relative to the base URL.
            options: As httpx takes them (json, params, files, …).

        Raises:
            ModelServerFault: The server is away, or hung up before its answer was whole.
        """
        try:
            return await self._http.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise _fault_of(exc) from exc

    async def post_job(self, path: str, content: bytes, on_headers: Callable[[], None]) -> httpx.Response:
        """POST a job's JSON and wait for its answer.

        Args:
            path: Relative to the base URL.
            content: The JSON.
            on_headers: Called when the answer begins: from then on the server can begin with the next job.

        Raises:
            ModelServerFault: The server is away, or hung up before its answer was whole.
        """
        try:
            headers = {"Content-Type": "application/json"}
            async with self._http.stream(
                "POST", path, content=content, headers=headers, timeout=WITHOUT_LIMIT
            ) as response:
                on_headers()
                await response.aread()
                return response
        except httpx.HTTPError as exc:
            raise _fault_of(exc) from exc

    async def get_json(self, path: str, **options: Any) -> Any:
        """GET some JSON.

        Raises:
            ModelServerFault: The server is away, answers another status than 200, or no JSON.
        """
        response = await self.send("GET", path, **options)
        if response.status_code != httpx.codes.OK:
            raise ModelServerFault(f"The model server answers {response.status_code} to {path}.")
        return read_json(response)

    async def wait_until_ready(self) -> None:
        """Return once the health path answers 200."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(ModelServerFault),
            wait=wait_exponential_jitter(initial=0.05, max=2),
            before_sleep=_WaitingLog(),
        ):
            with attempt:
                response = await self.send("GET", str(self._health_url), timeout=10)
                if response.status_code != httpx.codes.OK:
                    raise ModelServerFault(f"The model server answers {response.status_code}.")

    async def aclose(self) -> None:
        """Give connections back."""
        await self._http.aclose()


def read_json(response: httpx.Response) -> Any:
    """Read a response's JSON; NaN and infinities, which Python servers write and JSON does not have, become null.

    Raises:
        ModelServerFault: It is none.
    """
    try:
        return json.loads(response.content, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as exc:
        raise ModelServerFault("The model server's answer is no JSON.") from exc


def _fault_of(error: httpx.HTTPError) -> ModelServerFault:
    refused = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return (ModelServerAway if refused else ModelServerFault)(
        f"The model server does not answer ({type(error).__name__})."
    )


class _WaitingLog:
    """Says that the server is not ready: at once, then twice a minute."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def __call__(self, state: RetryCallState) -> None:
        waited_s = state.seconds_since_start or 0.0
        if waited_s >= self._next_s:
            logger.info("waiting for the model server", extra={"waited_s": round(waited_s)})
            self._next_s = waited_s + _LOG_EVERY_S
