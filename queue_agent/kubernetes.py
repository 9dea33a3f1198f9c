"""Marks the agent's own pod as busy, so that Kubernetes and Karpenter remove idle ones first."""

import asyncio
import functools
import importlib
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Self

from queue_agent.errors import PlatformFault

logger = logging.getLogger(__name__)

PatchAnnotations = Callable[[Mapping[str, str | None]], None]
"""Sets annotations of the pod, None removes one; blocks, and raises PlatformFault when that cannot be done."""

BUSY_ANNOTATIONS: Mapping[str, str] = {
    "controller.kubernetes.io/pod-deletion-cost": "1000",
    "karpenter.sh/do-not-disrupt": "true",
}
_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
_REQUEST_TIMEOUT_S = 5
_PATCH_TIMEOUT_S = 20.0
"""Above the request's own: the first patch imports the client, and that from a cold disk."""
_CLOSE_S = 1.0


class BusyMark:
    """Keeps the mark on the pod as the agent's work comes and goes; no caller ever waits for it.

    One patch is under way at a time, and the next says what is true then. Marked is at once, unmarked after a while
    without work: at the start too, for what an agent before this one may have left. When a patch fails there is one
    warning and no further patch.

    Args:
        patch: Writes to the pod, in a thread; None leaves the pod alone.
        idle_s: Seconds without work after which the mark goes.
    """

    def __init__(self, patch: PatchAnnotations | None, *, idle_s: float = 10) -> None:
        self._patch = patch
        self._idle_s = idle_s
        self._busy = False
        self._marked: bool | None = None
        self._closed = False
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._patch is not None:
            self._task = asyncio.create_task(self._keep(self._patch), name="busy-mark")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Remove the mark, if the API takes that within a second."""
        if self._task is None:
            return
        self._closed = True
        self._busy = False
        self._changed.set()
        await asyncio.wait({self._task}, timeout=_CLOSE_S)
        self._task.cancel()
        await asyncio.wait({self._task})

    def busy(self) -> None:
        """Note that the agent has work."""
        self._set(busy=True)

    def idle(self) -> None:
        """Note that it has none."""
        self._set(busy=False)

    def _set(self, *, busy: bool) -> None:
        if busy != self._busy and not self._closed:
            self._busy = busy
            self._changed.set()

    async def _keep(self, patch: PatchAnnotations) -> None:
        try:
            while not self._closed or self._marked:
                self._changed.clear()
                if self._busy == self._marked:
                    await self._changed.wait()
                elif self._busy or self._closed or await self._stays_idle():
                    marked = self._busy
                    annotations = BUSY_ANNOTATIONS if marked else dict.fromkeys(BUSY_ANNOTATIONS)
                    await asyncio.wait_for(_in_thread(patch, annotations), _PATCH_TIMEOUT_S)
                    self._marked = marked
        except (PlatformFault, TimeoutError) as exc:
            logger.warning("the pod is marked no more, busy or idle: %s", str(exc) or "no answer in time")
        except Exception:
            logger.exception("the pod is marked no more, busy or idle")

    async def _stays_idle(self) -> bool:
        try:
            await asyncio.wait_for(self._changed.wait(), self._idle_s)
        except TimeoutError:
            return True
        return False


def in_cluster_patch(
    *, pod_name: str | None, pod_namespace: str | None, token_path: Path = _TOKEN
) -> PatchAnnotations | None:
    """The way to this pod's annotations; None, and a warning, where there is no pod or no right to ask for one.

    Args:
        pod_name: The pod's name, as the downward API gives it.
        pod_namespace: Its namespace.
        token_path: The service account's token, which the client finds by itself.
    """
    if not pod_name or not pod_namespace or not token_path.is_file():
        logger.warning("the pod is not marked as busy: that takes POD_NAME, POD_NAMESPACE and %s", token_path)
        return None
    return functools.partial(_patch_pod, pod_name, pod_namespace)


def _patch_pod(name: str, namespace: str, annotations: Mapping[str, str | None]) -> None:
    try:
        # Imported here, in the thread: it takes a second and tens of megabytes, and is of no use outside a cluster.
        client: Any = importlib.import_module("kubernetes.client")
        config: Any = importlib.import_module("kubernetes.config")
        configuration = client.Configuration()
        config.load_incluster_config(client_configuration=configuration)
        configuration.proxy = None  # read from the environment; that one is for the way out of the cluster
        configuration.retries = 0
        configuration.client_side_validation = False  # it refuses answers that newer servers give
        with client.ApiClient(configuration) as api:
            client.CoreV1Api(api).patch_namespaced_pod(
                name,
                namespace,
                {"metadata": {"annotations": dict(annotations)}},
                _content_type="application/merge-patch+json",
                _request_timeout=_REQUEST_TIMEOUT_S,
            )
    except Exception as exc:
        # The client raises whatever happens to it: its own, urllib3's, AttributeError where TLS fails.
        status, reason = getattr(exc, "status", None), getattr(exc, "reason", None)
        said = f"{status} {reason}" if status else type(exc).__name__
        raise PlatformFault(f"kubernetes:PatchPod failed: {said}") from exc


async def _in_thread(patch: PatchAnnotations, annotations: Mapping[str, str | None]) -> None:
    """Call a function in a thread that nobody waits for at the exit, as the loop's own threads are waited for."""
    outcome: Future[None] = Future()

    def work() -> None:
        if outcome.set_running_or_notify_cancel():
            try:
                patch(annotations)
                outcome.set_result(None)
            except BaseException as exc:  # noqa: BLE001 (raised again where it is awaited)
                outcome.set_exception(exc)

    threading.Thread(target=work, name="busy-mark", daemon=True).start()
    await asyncio.wrap_future(outcome)
