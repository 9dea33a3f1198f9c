"""The front door: from a proxy event to an answer."""

import logging
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Protocol

from api import v1alpha1, v1alpha2
from api.aws_errors import AWS_ERRORS
from api.errors import InvalidRequestError, RequestError, error_body, fault_rows
from api.idempotency import IdempotencyKey, key_errors
from api.ignored import MAX_WARNINGS
from api.intake import Intake
from api.request import body_bytes, parse_json, path_segments, tenant, traceparent
from api.submission import Submission
from contract import strict_json
from contract.field_errors import FieldError
from contract.ids import new_job_id
from contract.objects import ResultNames, s3_url
from contract.task import Task
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

logger = logging.getLogger(__name__)


class ApiVersion(Protocol):
    """What a module must offer to be a version of the API."""

    def read(self, body: Any, catalog: RuntimeCatalog) -> Task:
        """Read a request; raise InvalidRequestError with all its errors."""

    def ignored(self, body: Any, task: Task, runtime: DeployedRuntime) -> Iterator[FieldError]:
        """Name the keys of a sound request that nothing reads."""

    def answer(self, task: Task, output_location: str) -> dict[str, Any]:
        """What the caller gets for an accepted task."""


_VERSIONS: Mapping[str, ApiVersion] = {"v1alpha1": v1alpha1, "v1alpha2": v1alpha2}


class FrontDoor:
    """Accepts tasks.

    Args:
        catalog: The deployed runtimes.
        intake: Where accepted tasks go.
        bucket: The output bucket.
    """

    def __init__(self, *, catalog: RuntimeCatalog, intake: Intake, bucket: str) -> None:
        self._catalog = catalog
        self._intake = intake
        self._bucket = bucket

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request; whatever happens, in JSON."""
        try:
            return _response(200, self._accept(event))
        except RequestError as exc:
            logger.info("refused: %d %s", exc.status, exc.code)
            return _response(exc.status, error_body(exc.code, exc.message, exc.errors), exc.headers)
        except AWS_ERRORS as exc:
            logger.exception("not accepted: %s", type(exc).__name__)
            body = error_body("unavailable", "The task could not be queued. Try again.")
            return _response(503, body, {"Retry-After": "1"})
        except Exception:
            # The last resort of the process: Lambda would answer API Gateway with a body of its own shape.
            logger.exception("request failed")
            return _response(500, error_body("internal_error", "The request could not be handled."))

    def _accept(self, event: Mapping[str, Any]) -> dict[str, Any]:
        name = "/".join(path_segments(event))
        version = _VERSIONS.get(name)
        if version is None:
            raise RequestError(404, "not_found", f"No such path; POST to one of: /{', /'.join(_VERSIONS)}.")
        body = body_bytes(event)
        sent, task = self._read(version, body, key_errors(event, has_table=self._intake.has_table))
        runtime = self._catalog[task.metadata.runtime]
        deadlines = runtime.deadlines.with_asked(task.metadata.deadlines)
        submission = Submission(
            request=task,
            job=new_job_id(),
            accepted_s=time.time(),
            start_s=deadlines.start_s,
            tenant=tenant(event),
            key=IdempotencyKey.of(event, name, body),
            traceparent=traceparent(event),
        )
        taken = self._intake.take(submission)
        metadata = taken.task.metadata
        again = "" if taken.job == submission.job else " before"
        logger.info("accepted%s: job %s, runtime %s, %s", again, taken.job, metadata.runtime, metadata.tasktype)
        folder = ResultNames(prefix=metadata.prefix, task_id=metadata.id, job=taken.job).folder
        answer = version.answer(taken.task, s3_url(self._bucket, folder))
        ignored = list(islice(version.ignored(sent, task, runtime), MAX_WARNINGS))
        return {**answer, "warnings": fault_rows(ignored)} if ignored else answer

    def _read(self, version: ApiVersion, body: bytes, errors: list[FieldError]) -> tuple[Any, Task]:
        """Read a body, whose errors are named together with those of the headers; its JSON, and its task."""
        try:
            sent = parse_json(body)
            task = version.read(sent, self._catalog)
        except InvalidRequestError as exc:
            raise InvalidRequestError([*errors, *exc.errors]) from None
        if errors:
            raise InvalidRequestError(errors)
        return sent, task


def _response(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "body": strict_json.utf8(body),
        "isBase64Encoded": False,
    }
