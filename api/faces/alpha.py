"""API v1alpha1 and v1alpha2: one path each, to which a task is posted."""

import logging
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from api.errors import InvalidRequestError, RequestError, error_body, error_rows
from api.faces import v1alpha1, v1alpha2
from api.http import Request, Response
from api.operations.submission import TaskSubmission, milliseconds
from api.request import idempotency_key, key_errors, read_json, traceparent
from api.services import Services
from contract.field_errors import FieldError
from contract.ids import new_job_id
from contract.objects import ResultNames, s3_url
from contract.task import Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

MAX_WARNINGS = 20
"""In one answer."""

logger = logging.getLogger(__name__)


class AlphaVersion(Protocol):
    """What a module must define to be such a version."""

    def read(self, body: Any, catalog: RuntimeCatalog) -> Task:
        """Read a request; raise InvalidRequestError with all its errors."""

    def ignored(self, body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:
        """List the keys of a valid request that nothing reads."""

    def answer(self, task: Task, output_location: str) -> dict[str, Any]:
        """The answer to an accepted task."""


class AlphaFace:
    """One version's face."""

    def __init__(self, version: AlphaVersion) -> None:
        self._version = version

    def answer(self, request: Request, services: Services) -> Response:
        """Submit the task of a request."""
        if "/" in request.path:
            raise _no_such_path()
        if request.method != "POST":
            message = f"{request.method} is not allowed; use POST."
            raise RequestError(405, "method_not_allowed", message, headers={"Allow": "POST"})
        sent, task = self._read(request, services.catalog)
        runtime = services.catalog[task.metadata.runtime]
        accepted_s = milliseconds(time.time())  # before the id, which has a time too
        submission = TaskSubmission(
            request=task,
            accepted_s=accepted_s,
            job=new_job_id(),
            start_s=runtime.deadlines.with_asked(task.metadata.deadlines).start_s,
            caller=request.caller,
            key=idempotency_key(request),
            traceparent=traceparent(request),
        )
        job = services.submissions.submit(submission)
        metadata = submission.task.metadata
        folder = ResultNames(prefix=metadata.prefix, task_id=metadata.id, job=job.id).folder
        submitted = task.model_copy(update={"metadata": metadata.model_copy(update={"job": job.id})})
        answer = self._version.answer(submitted, s3_url(services.bucket, folder))
        if ignored := list(islice(self._version.ignored(sent, task, runtime), MAX_WARNINGS)):
            answer = {**answer, "warnings": error_rows(ignored)}
        return Response.json(200, answer)

    def error(self, error: RequestError) -> Response:
        """The answer to a request that is rejected."""
        return Response.json(error.status, error_body(error.code, error.message, error.errors), error.headers)

    def _read(self, request: Request, catalog: RuntimeCatalog) -> tuple[Any, Task]:
        """Read a request as JSON and as a task; reject it with all errors of headers and body."""
        header_errors = key_errors(request)
        try:
            sent = read_json(request)
            task = self._version.read(sent, catalog)
        except InvalidRequestError as exc:
            raise InvalidRequestError([*header_errors, *exc.errors]) from None
        if header_errors:
            raise InvalidRequestError(header_errors)
        return sent, task


class NowhereFace(AlphaFace):
    """Answers paths that are none of the API's, in the same shape."""

    def answer(self, request: Request, services: Services) -> Response:  # noqa: ARG002 (a face's)
        """Reject a request."""
        raise _no_such_path()


def _no_such_path() -> RequestError:
    return RequestError(404, "not_found", "No such path; POST to one of: /v1/jobs, /v1alpha1, /v1alpha2.")


V1ALPHA1 = AlphaFace(v1alpha1)
V1ALPHA2 = AlphaFace(v1alpha2)
NOWHERE = NowhereFace(v1alpha2)
