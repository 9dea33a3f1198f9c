"""Pictures by their parameters: the same parameters within an hour stand for the same job."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.errors import InvalidRequestError
from api.operations.submission import IdempotencyKey
from contract import strict_json
from contract.field_errors import FieldError, one_of, suggestion
from jobs import idempotency
from jobs.job import Job
from jobs.store import JobStore
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.pictures import NotDrawableError, PictureRequest, task_of

JOINED_S = 3600
"""How long after its submission a job is joined by a request with the same parameters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTask:
    """What draws a picture: the runtime, and its task."""

    runtime: str
    task_type: str
    content: dict[str, Any]


class Pictures:
    """Turns pictures into tasks, and finds the job that already draws one. ``clock`` gives seconds since 1970."""

    def __init__(self, jobs: JobStore, catalog: RuntimeCatalog, *, clock: Callable[[], float] = time.time) -> None:
        self._jobs = jobs
        self._catalog = catalog
        self._clock = clock

    def runtime(self, name: str | None) -> DeployedRuntime:
        """The runtime of that name; without a name the first one that draws from a prompt.

        Raises:
            InvalidRequestError: There is none.
        """
        if name is None:
            drawing = [runtime for runtime in self._catalog if runtime.runtime_type.content is not None]
            if not drawing:
                raise InvalidRequestError([FieldError("prompt", "is drawn by no runtime that is deployed here")])
            return next((one for one in drawing if _can_draw(one)), drawing[0])
        if (runtime := self._catalog.find(name)) is None:
            known = self._catalog.names
            raise InvalidRequestError([FieldError("runtime", f"must be {one_of(known)}{suggestion(name, known)}")])
        return runtime

    def task(self, picture: PictureRequest, runtime: DeployedRuntime) -> PictureTask:
        """The task that draws a picture.

        Raises:
            InvalidRequestError: The runtime cannot draw it.
        """
        try:
            task_type, content = task_of(picture, runtime)
        except NotDrawableError as exc:
            raise InvalidRequestError([FieldError("prompt", f"cannot be drawn: {exc}")]) from None
        return PictureTask(runtime=runtime.name, task_type=task_type, content=content)

    def key(self, picture: PictureRequest, runtime: str) -> IdempotencyKey:
        """The key under which a picture's job is submitted now."""
        return _key(picture, runtime, int(self._clock() // JOINED_S))

    def drawn_lately(self, tenant: str, picture: PictureRequest, runtime: str) -> Job | None:
        """The job of less than an hour ago that draws the picture for a tenant; None if there is none.

        A key stands for a full hour of the clock, so that a job of the hour before is found under the key before.
        """
        now_s = self._clock()
        hour = int(now_s // JOINED_S)
        for slot in (hour, hour - 1):
            job = self.drawn(tenant, _key(picture, runtime, slot))
            if job is not None and now_s - job.created_s < JOINED_S:
                return job
        return None

    def drawn(self, tenant: str, key: IdempotencyKey) -> Job | None:
        """The job that was submitted under a key for a tenant; None if there is none. It only reads."""
        use = self._jobs.run(idempotency.key_use(tenant, key.value, self._clock()))
        return None if use is None or use.body_sha256 != key.body_sha256 else self._jobs.get(use.job)


def _can_draw(runtime: DeployedRuntime) -> bool:
    try:
        task_of(PictureRequest(prompt="a"), runtime)
    except NotDrawableError:
        return False
    return True


def _key(picture: PictureRequest, runtime: str, hour: int) -> IdempotencyKey:
    text = strict_json.dumps([runtime, picture.model_dump(mode="json", exclude_none=True)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return IdempotencyKey(f"picture/{hour}/{digest}", digest)
