"""Marks the agent's own pod as busy, so that Kubernetes and Karpenter remove idle ones first."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Self

import aiohttp

from queue_agent.errors import PlatformError

logger = logging.getLogger(__name__)

PatchAnnotations = Callable[[Mapping[str, str | None]], Awaitable[None]]
"""Sets annotations of the pod, or removes those whose value is None; raises AnnotationForbidden."""

BUSY_ANNOTATIONS: Mapping[str, str] = {
    "controller.kubernetes.io/pod-deletion-cost": "1000",
    "karpenter.sh/do-not-disrupt": "true",
}
_API = "https://kubernetes.default.svc"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_REQUEST_TIMEOUT_S = 5.0
_CLOSE_S = 2.0
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 30.0


class AnnotationForbidden(PlatformError):  # noqa: N818 (as all errors of the agent's tree)
    """The agent may not change its pod's annotations."""


class BusyAnnotator:
    """Annotates the pod while the agent has work; no caller waits for it.

    One patch is under way at a time, and the next writes what is true then. The pod is annotated at once, and the
    annotations are removed after ``idle_s`` without work: also at the start, in case an earlier agent left them. A
    failed patch is repeated, after 0.5 s at first and every 30 s in the end, with one warning an outage. After one that
    is forbidden, the agent stops. Without a ``patch``, the pod is left alone.
    """

    def __init__(self, patch: PatchAnnotations | None, *, idle_s: float = 10) -> None:
        self._patch = patch
        self._idle_s = idle_s
        self._is_busy = False
        self._marked: bool | None = None  # None: unknown, after an earlier agent or a patch without an answer
        self._failures = 0
        self._changed, self._closed = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._patch is not None:
            self._task = asyncio.create_task(self._keep(self._patch), name="busy-annotator")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Remove the annotations, if the API accepts that within two seconds."""
        if self._task is None:
            return
        self.idle()
        self._failures = 0
        self._closed.set()
        self._changed.set()
        await asyncio.wait({self._task}, timeout=_CLOSE_S)
        self._task.cancel()
        await asyncio.wait({self._task})

    def busy(self) -> None:
        """Note that the agent has work."""
        self._set(is_busy=True)

    def idle(self) -> None:
        """Note that it has none."""
        self._set(is_busy=False)

    def _set(self, *, is_busy: bool) -> None:
        if is_busy != self._is_busy and not self._closed.is_set():
            self._is_busy = is_busy
            self._changed.set()

    async def _keep(self, patch: PatchAnnotations) -> None:
        try:
            while not self._closed.is_set() or self._marked is not False:
                self._changed.clear()
                if self._is_busy == self._marked:
                    await self._changed.wait()
                elif self._is_busy or self._closed.is_set() or not await _is_set_within(self._changed, self._idle_s):
                    await self._write(patch)
        except AnnotationForbidden as exc:
            logger.warning("the pod is no longer marked as busy or idle: %s", exc)
        except Exception:
            # Without the mark, the pod is only more likely to be removed; its jobs must go on.
            logger.exception("the pod is no longer marked as busy or idle")

    async def _write(self, patch: PatchAnnotations) -> None:
        """Write what is true now; after a failure, wait before the next attempt."""
        marked, self._marked = self._is_busy, None
        try:
            async with asyncio.timeout(_REQUEST_TIMEOUT_S):
                await patch(BUSY_ANNOTATIONS if marked else dict.fromkeys(BUSY_ANNOTATIONS))
        except AnnotationForbidden:
            raise
        except (PlatformError, TimeoutError) as exc:
            if not self._failures:
                logger.warning("the pod could not be marked, and is tried again: %s", str(exc) or "no answer in time")
            pause_s = min(_FIRST_RETRY_S * 2**self._failures, _LAST_RETRY_S)
            self._failures = min(self._failures + 1, 10)
            # Only the agent's end shortens the pause; work that comes and goes does not.
            if self._closed.is_set():
                await asyncio.sleep(pause_s)
            else:
                await _is_set_within(self._closed, pause_s)
        else:
            self._marked, self._failures = marked, 0


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


def in_cluster_patch(
    *, pod_name: str | None, pod_namespace: str | None, account: Path = _ACCOUNT, api: str = _API
) -> PatchAnnotations | None:
    """What changes this pod's annotations; None outside a cluster, or, with a warning, where something is missing.

    ``account`` is the folder with the service account's token and the API's certificate.
    """
    token_path, url = account / "token", f"{api}/api/v1/namespaces/{pod_namespace}/pods/{pod_name}"
    in_pod = (pod_name is not None, pod_namespace is not None, token_path.is_file())
    if any(in_pod) and not all(in_pod):
        logger.warning("the pod is not marked as busy: that needs POD_NAME, POD_NAMESPACE and %s", token_path)
    if not all(in_pod):
        return None

    async def patch(annotations: Mapping[str, str | None]) -> None:
        try:
            # Read each time: a token lasts an hour, and the kubelet replaces it in its file.
            token = token_path.read_text().strip()
            trusted = ssl.create_default_context(cafile=account / "ca.crt") if url.startswith("https:") else True
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
            body = {"metadata": {"annotations": dict(annotations)}}
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
                http.patch(url, json=body, headers=headers, ssl=trusted, allow_redirects=False) as answer,
            ):
                status, reason = answer.status, answer.reason
        except (OSError, ValueError, aiohttp.ClientError) as exc:
            raise PlatformError(f"kubernetes:PatchPod failed: {type(exc).__name__}") from exc
        if status != HTTPStatus.OK:
            error = AnnotationForbidden if status == HTTPStatus.FORBIDDEN else PlatformError
            raise error(f"kubernetes:PatchPod failed: {status} {reason}")

    return patch
