"""What is answered as OpenAI's Images API answers: pictures, events of a stream, and errors."""

import logging
from collections.abc import Iterator
from typing import Any

from api.errors import RequestError
from api.faces.dialects.dialect import DialectCall, JsonWithFiles
from api.http import Response
from jobs.dynamodb import AWS_ERRORS, error_name
from jobs.job import Job, JobState

_USAGE = {
    "total_tokens": 0,
    "input_tokens": 0,
    "output_tokens": 0,
    "input_tokens_details": {"text_tokens": 0, "image_tokens": 0},
}
"""Runtimes count pictures, not tokens; some programs add these up."""
_MAX_WAIT_S = 60
"""Its clients wait so long before they try again, older ones no longer."""
_PARAMETERS = {
    "width": "size",
    "height": "size",
    "format": "output_format",
    "context": "user",
    "init_images": "image",
    "images": "image",
}
"""What the names of errors are in requests."""

_UNREADABLE = RequestError(503, "unavailable", "The pictures cannot be read now.")

logger = logging.getLogger(__name__)


def pictures_of(call: DialectCall, job: Job, *, as_links: bool) -> list[dict[str, Any]]:
    """The pictures of a job that has ended, as base64 or as links.

    Raises:
        RequestError: It has none, or they no longer exist.
    """
    files = call.files(job) if job.state is JobState.SUCCEEDED else []
    if not files:
        raise failure(job)
    pictures = []
    for file, link in zip(files, call.links.of(job), strict=True):
        picture: dict[str, Any] = {"url": link.url} if as_links else {"b64_json": call.base64(file)}
        pictures.append(picture | ({"seed": link.known.seed} if link.known and link.known.seed is not None else {}))
    return pictures


def described(job: Job) -> dict[str, Any]:
    """What OpenAI says of pictures besides; those of a job are alike."""
    known = job.outputs[0] if job.outputs else None
    size = f"{known.width}x{known.height}" if known and known.width else None
    kind = known.content_type.rpartition("/")[2] if known else None
    return {"size": size, "quality": "auto", "background": "opaque", "output_format": kind, "usage": _USAGE}


def failure(job: Job) -> RequestError:
    """The rejection of a request whose job has ended without pictures; its client must not pay for another."""
    code, message = job.state.value, f"The job {job.id} is {job.state} and has no pictures."
    if job.error is not None:
        code, message = job.error.code, job.error.message
    return RequestError(400, code, message, headers={"x-request-id": job.id})


def error(rejection: RequestError) -> Response:
    """A rejection, with a word on whether to try again: by themselves clients do so after 409, 429 and all of 5xx."""
    headers = dict(rejection.headers)
    if rejection.status < 500 and not 0 < int(headers.get("Retry-After", 0)) <= _MAX_WAIT_S:  # noqa: PLR2004
        headers["x-should-retry"] = "false"
    return Response.json(rejection.status, {"error": _written(rejection)}, headers)


def _written(rejection: RequestError) -> dict[str, Any]:
    kind = "invalid_request_error" if rejection.status < 500 else "server_error"  # noqa: PLR2004
    shown = {"message": rejection.message, "type": kind, "param": None, "code": rejection.code}
    if rejection.errors:
        names = [_PARAMETERS.get(one.pointer.partition("[")[0], one.pointer) for one in rejection.errors]
        texts = [f"{name} {one.detail}".strip() for name, one in zip(names, rejection.errors, strict=True)]
        shown["message"] = "; ".join(dict.fromkeys(texts))
        shown["param"] = names[0] or None
    return shown


class ImageEvents:
    """Writes previews of a job and its pictures as events; ``kind`` begins their types.

    Clients take the end of a stream for its success, so that each ends with the pictures or with an error.
    """

    def __init__(self, call: DialectCall, kind: str, partial_images: int) -> None:
        self._call = call
        self._kind = kind
        self._partial_images = partial_images
        self._sent = 0
        self._previewed_s: float | None = None

    def is_due(self, now_s: float) -> bool:  # noqa: ARG002 (of the protocol)
        """False: nothing comes but from the job."""
        return False

    def cut(self, job: Job) -> str:
        """An error that says where the picture will be."""
        where = f"{self._call.base_url}/v1/images/jobs/{job.id}"
        told = RequestError(504, "timeout", f"The job {job.id} is {job.state}; GET {where} waits for it.")
        return "".join(_event({"type": "error", "error": _written(told)}))

    def events(self, job: Job, now_s: float) -> Iterator[str]:  # noqa: ARG002 (of the protocol)
        """A new preview; of a job that has ended, its pictures or why there are none."""
        try:
            events = self._completed(job) if job.state.is_final else self._partial(job)
        except RequestError as exc:
            events = [{"type": "error", "error": _written(exc)}]
        except AWS_ERRORS as exc:
            logger.warning("no pictures in a stream: job %s, %s", job.id, error_name(exc))
            events = [{"type": "error", "error": _written(_UNREADABLE)}]
        for event in events:
            yield from _event(event)

    def _completed(self, job: Job) -> list[dict[str, Any]]:
        common = {"type": f"{self._kind}.completed", "created_at": int(job.created_s), **described(job)}
        return [{**common, **picture} for picture in pictures_of(self._call, job, as_links=False)]

    def _partial(self, job: Job) -> list[dict[str, Any]]:
        """The latest preview, if the job is far enough for one more of as many as are wanted."""
        due = (self._sent + 1) / (self._partial_images + 1)
        is_due = self._sent < self._partial_images and (job.progress is None or job.progress >= due)
        file = self._call.preview(job) if is_due and job.previewed_s != self._previewed_s else None
        if file is None:
            return []
        try:
            picture = self._call.base64(file)
        except (RequestError, *AWS_ERRORS):  # the pictures come without it
            return []
        index, self._sent, self._previewed_s = self._sent, self._sent + 1, job.previewed_s
        kind = picture.file.content_type.rpartition("/")[2]
        event = {"type": f"{self._kind}.partial_image", "partial_image_index": index, "b64_json": picture}
        return [{**event, "created_at": int(job.created_s), **described(job), "output_format": kind, "usage": None}]


def _event(event: dict[str, Any]) -> Iterator[str]:
    yield f"event: {event['type']}\ndata: "
    yield from (piece.decode() for piece in JsonWithFiles(event).pieces())
    yield "\n\n"
