"""The front door: reads API Gateway's event, submits the task, and answers."""

import logging
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any

from api.errors import InvalidRequestError, RequestError, error_body, error_rows
from api.faces import FACES, ApiFace
from api.operations import AWS_ERRORS, KeyBusyError, Operations, TaskSubmission
from api.request import body_bytes, idempotency_key, key_errors, parse_json, path_segments, tenant, traceparent
from contract import strict_json
from contract.field_errors import FieldError
from contract.ids import new_job_id
from contract.objects import ResultNames, s3_url
from contract.task import Task
from runtimes.catalog import RuntimeCatalog

MAX_WARNINGS = 20
"""In one answer."""

logger = logging.getLogger(__name__)


class Door:
    """Answers requests for the deployed runtimes. ``bucket`` is the output bucket."""

    def __init__(self, *, catalog: RuntimeCatalog, operations: Operations, bucket: str) -> None:
        self._catalog = catalog
        self._operations = operations
        self._bucket = bucket

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request, in every case with JSON."""
        try:
            return _response(200, self._submit(event))
        except RequestError as exc:
            logger.info("refused: %d %s", exc.status, exc.code)
            return _response(exc.status, error_body(exc.code, exc.message, exc.errors), exc.headers)
        except (*AWS_ERRORS, KeyBusyError) as exc:
            logger.exception("not accepted: %s", type(exc).__name__)
            body = error_body("unavailable", "The task could not be queued. Try again.")
            return _response(503, body, {"Retry-After": "1"})
        except Exception:
            # The last resort: otherwise Lambda would answer API Gateway with a body of its own form.
            logger.exception("request failed")
            return _response(500, error_body("internal_error", "The request could not be handled."))

    def _submit(self, event: Mapping[str, Any]) -> dict[str, Any]:
        path = "/".join(path_segments(event))
        face = FACES.get(path)
        if face is None:
            raise RequestError(404, "not_found", f"No such path; POST to one of: /{', /'.join(FACES)}.")
        body = body_bytes(event)
        sent, task = self._read(face, body, key_errors(event))
        runtime = self._catalog[task.metadata.runtime]
        submission = TaskSubmission(
            request=task,
            job=new_job_id(),
            accepted_s=time.time(),
            start_s=runtime.deadlines.with_asked(task.metadata.deadlines).start_s,
            tenant=tenant(event),
            key=idempotency_key(event, path, body),
            traceparent=traceparent(event),
        )
        submitted = self._operations.submit(submission)
        metadata = submitted.task.metadata
        again = "" if submitted.job == submission.job else " before"
        logger.info("accepted%s: job %s, runtime %s, %s", again, submitted.job, metadata.runtime, metadata.tasktype)
        folder = ResultNames(prefix=metadata.prefix, task_id=metadata.id, job=submitted.job).folder
        answer = face.answer(submitted.task, s3_url(self._bucket, folder))
        ignored = list(islice(face.ignored(sent, task, runtime), MAX_WARNINGS))
        return {**answer, "warnings": error_rows(ignored)} if ignored else answer

    def _read(self, face: ApiFace, body: bytes, header_errors: list[FieldError]) -> tuple[Any, Task]:
        """Read a body as JSON and as a task; reject it with all errors of body and headers."""
        try:
            sent = parse_json(body)
            task = face.read(sent, self._catalog)
        except InvalidRequestError as exc:
            raise InvalidRequestError([*header_errors, *exc.errors]) from None
        if header_errors:
            raise InvalidRequestError(header_errors)
        return sent, task


def _response(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "body": strict_json.utf8(body),
        "isBase64Encoded": False,
    }
