"""Draws what the icon library lacks: a job of its caller's for each need, by the runtime that config.yaml names."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from api.errors import RequestError
from api.http import Caller
from api.operations.submission import Submissions, TaskSubmission, milliseconds
from contract.task import Metadata, Task
from icons.alpha import NoPictureError
from icons.needs import Need
from jobs.job import Job
from runtimes.catalog import RuntimeCatalog
from runtimes.pictures import NotDrawableError, PictureRequest, task_of

_PREFIX = "icons"
"""First part of the S3 keys of what jobs draw, before it is an icon."""
_SIDES = (512, 1024)
"""Of the pictures that are asked for; icons are made from them."""


@dataclass(frozen=True, slots=True)
class RuntimeArtist:
    """Has needs drawn by a runtime, as jobs of a caller's. ``read`` reads an object of the output bucket by its key."""

    runtime: str
    catalog: RuntimeCatalog
    submissions: Submissions
    read: Callable[[str], bytes]
    caller: Caller
    traceparent: str | None

    def submit(self, need: Need, job: str) -> Job:
        """Submit the job of that id; once more, it is the same job: agents claim each id once."""
        return self.submissions.submit(self._submission(need, job))

    def submitted(self, need: Need, job: str) -> Job:
        """That job as it was entered."""
        return self._submission(need, job).entered()

    def picture(self, job: Job) -> bytes:
        """Read the first picture of a job.

        Raises:
            NoPictureError: It has none.
        """
        (key, _), *_ = job.results or [("", None)]
        if not key:
            raise NoPictureError("the job drew none")
        return self.read(key)

    def _submission(self, need: Need, job: str) -> TaskSubmission:
        runtime = self.catalog[self.runtime]
        side = next((side for side in _SIDES if side >= need.side), _SIDES[-1])
        picture = PictureRequest(prompt=_prompt_of(need), width=side, height=side, seed=need.seed, format="png")
        try:
            task_type, content = task_of(picture, runtime)
        except NotDrawableError as exc:
            raise RequestError(409, "not_drawable", str(exc)) from None
        metadata = Metadata(id=need.id, runtime=runtime.name, tasktype=task_type, prefix=_PREFIX)
        return TaskSubmission(
            request=Task(metadata=metadata, content=content),
            job=job,
            accepted_s=milliseconds(time.time()),
            start_s=runtime.deadlines.start_s,
            caller=self.caller,
            key=None,
            traceparent=self.traceparent,
        )


def _prompt_of(need: Need) -> str:
    """The prompt that draws a need, on a ground that can be cut out."""
    style = f", {need.style} style" if need.style else ""
    return f"An icon of {need.query}{style}, simple shapes, centered, no text, plain white background, no shadow"
