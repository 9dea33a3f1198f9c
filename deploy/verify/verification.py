"""Posts samples and waits for their pictures."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from botocore.config import Config

from contract.notice import Notice
from contract.objects import s3_url
from deploy.aws import AWS_ERRORS, explain
from deploy.errors import DeployError
from deploy.verify.notices import NoticeQueue
from deploy.verify.pictures import DrawnPicture, PictureError, fetch_picture
from deploy.verify.samples import INPUT_KEY, InputLinks, Sample, SampleRequest, make_request, upload_input
from deploy.verify.target import Target

_LINK_LIFETIME_S = 3600
_POST_TIMEOUT_S = 35.0
"""API Gateway answers after 29 seconds at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOutcome:
    """How a sample ended: the seconds from its request to its notice, if one came, and what is wrong, if anything."""

    request: SampleRequest
    seconds: float | None = None
    pictures: tuple[DrawnPicture, ...] = ()
    problem: str | None = None


def verify(
    target: Target, samples: Iterable[Sample], *, wait_s: float, stop: threading.Event | None = None
) -> Iterator[SampleOutcome]:
    """Post all samples and yield each one's outcome as soon as it is known.

    A task without a notice after ``wait_s`` has failed; a first GPU node takes minutes. Once ``stop`` is set, samples
    without an outcome have none.

    Raises:
        DeployError: The platform cannot be reached or used at all.
    """
    stop = stop or threading.Event()
    deadline = time.monotonic() + wait_s
    try:
        # Links signed the old way lead nowhere in newer regions and with a KMS key.
        s3 = target.client("s3", config=Config(signature_version="s3v4"))
        upload_input(s3, target.bucket, target.api_key_id)
        address = {"Bucket": target.bucket, "Key": INPUT_KEY}
        http = s3.generate_presigned_url("get_object", Params=address, ExpiresIn=_LINK_LIFETIME_S)
        links = InputLinks(s3=s3_url(target.bucket, INPUT_KEY), http=http)
        with NoticeQueue(target) as notices:
            waiting: dict[str, tuple[SampleRequest, float]] = {}
            for request in [make_request(sample, links) for sample in samples]:
                answer = _accepted(target, request, deadline, stop)
                if answer is not None and answer.status_code == httpx.codes.OK:
                    waiting[request.task_id] = request, time.monotonic() - answer.elapsed.total_seconds()
                elif answer is not None:
                    yield SampleOutcome(
                        request=request, problem=f"refused with {answer.status_code}: {_message(answer)}"
                    )
            while waiting and time.monotonic() < deadline and not stop.is_set():
                for notice in notices.receive():
                    if notice.id in waiting:
                        request, posted_at = waiting.pop(notice.id)
                        yield _judge(s3, request, notice, time.monotonic() - posted_at)
            if not stop.is_set():
                for request, _ in waiting.values():
                    yield SampleOutcome(request=request, problem=f"no notice within {wait_s:g} seconds")
    except AWS_ERRORS as exc:
        raise explain(exc) from exc


def _accepted(target: Target, request: SampleRequest, deadline: float, stop: threading.Event) -> httpx.Response | None:
    """Post a request, again when a throttled API wants it; the last answer, None where it was stopped before."""
    while not stop.is_set():
        try:
            answer = httpx.post(
                f"{target.endpoint}/{request.sample.api_version}",
                json=request.body,
                headers={"x-api-key": target.api_key},
                timeout=_POST_TIMEOUT_S,
            )
        except httpx.HTTPError as exc:
            raise DeployError(f"{target.endpoint} does not answer: {exc}", "Check the network and the stack.") from exc
        after_s = answer.headers.get("Retry-After", "")
        is_busy = answer.status_code in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE)
        if not is_busy or not after_s.isdigit() or time.monotonic() + int(after_s) >= deadline:
            return answer
        stop.wait(int(after_s))
    return None


def _message(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        details = [f"{row['field']} {row['problem']}".strip() for row in error.get("details", [])]
        return "; ".join(details) or str(error["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _judge(s3: Any, request: SampleRequest, notice: Notice, seconds: float) -> SampleOutcome:
    problem = None
    pictures: tuple[DrawnPicture, ...] = ()
    if not notice.result:
        problem = f"{notice.error.code}: {notice.error.message}" if notice.error else notice.status
    elif not notice.image_url:
        problem = "its notice names no picture"
    else:
        try:
            pictures = tuple(fetch_picture(s3, url) for url in notice.image_url)
        except PictureError as exc:
            problem = str(exc)
    return SampleOutcome(request=request, seconds=seconds, pictures=pictures, problem=problem)
