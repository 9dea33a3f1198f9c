"""The front door: from a proxy event to an answer."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from api import v1alpha1, v1alpha2
from api.errors import RequestError, error_body
from api.publisher import TaskPublisher
from api.request import json_body, path_segments, tenant
from contract import strict_json
from contract.catalog import RuntimeCatalog
from contract.job import new_job_id
from contract.objects import ResultNames, s3_url
from contract.task import Task

logger = logging.getLogger(__name__)


class ApiVersion(Protocol):
    """What a module must offer to be a version of the API."""

    def read(self, body: Any, catalog: RuntimeCatalog) -> Task:
        """Read a request; raise InvalidRequestError with all its faults."""

    def answer(self, task: Task, output_location: str) -> dict[str, Any]:
        """What the caller gets for an accepted task."""


_VERSIONS: Mapping[str, ApiVersion] = {"v1alpha1": v1alpha1, "v1alpha2": v1alpha2}


class FrontDoor:
    """Accepts tasks.

    Args:
        catalog: The deployed runtimes.
        publisher: Where accepted tasks go.
        bucket: The output bucket.
    """

    def __init__(self, *, catalog: RuntimeCatalog, publisher: TaskPublisher, bucket: str) -> None:
        self._catalog = catalog
        self._publisher = publisher
        self._bucket = bucket

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one request; whatever happens, in JSON."""
        try:
            return _response(200, self._accept(event))
        except RequestError as exc:
            logger.info("refused: %d %s", exc.status, exc.code)
            return _response(exc.status, error_body(exc.code, exc.message, exc.faults), exc.headers)
        except (BotoCoreError, ClientError, ResponseParserError) as exc:
            logger.exception("not published: %s", type(exc).__name__)
            body = error_body("unavailable", "The task could not be queued. Try again.")
            return _response(503, body, {"Retry-After": "1"})
        except Exception:
            # The last resort of the process: Lambda would answer API Gateway with a body of its own shape.
            logger.exception("request failed")
            return _response(500, error_body("internal_error", "The request could not be handled."))

    def _accept(self, event: Mapping[str, Any]) -> dict[str, Any]:
        version = _VERSIONS.get("/".join(path_segments(event)))
        if version is None:
            raise RequestError(404, "not_found", f"No such path; POST to one of: /{', /'.join(_VERSIONS)}.")
        task = version.read(json_body(event), self._catalog)
        job = new_job_id()
        platform_keys = {"job": job, "tenant": tenant(event), "submitted_at": datetime.now(UTC)}
        task = task.model_copy(update={"metadata": task.metadata.model_copy(update=platform_keys)})
        self._publisher.publish(task)
        metadata = task.metadata
        logger.info("accepted: job %s, runtime %s, %s", job, metadata.runtime, metadata.tasktype)
        folder = ResultNames(prefix=metadata.prefix, task_id=metadata.id, job=job).folder
        return version.answer(task, s3_url(self._bucket, folder))


def _response(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "body": strict_json.dumps(body),
        "isBase64Encoded": False,
    }
