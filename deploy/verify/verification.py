"""Posts samples by the API version of each, and follows their jobs to the pictures."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import httpx
from botocore.config import Config

from contract.objects import s3_url
from deploy.aws import AWS_ERRORS, explain
from deploy.errors import DeployError
from deploy.verify.pictures import DrawnPicture, PictureError, read_picture
from deploy.verify.samples import INPUT_KEY, InputLinks, Sample, SampleRequest, make_request, upload_input
from deploy.verify.target import Target
from sd_on_eks import ApiError, Client, ClientError, Job

_LINK_LIFETIME_S = 3600
_POST_TIMEOUT_S = 35.0
"""API Gateway answers after 29 seconds at the latest."""
_LOOK_EVERY_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleOutcome:
    """How a sample ended: the seconds from its request to its end, if it ended, and what is wrong, if anything."""

    request: SampleRequest
    seconds: float | None = None
    pictures: tuple[DrawnPicture, ...] = ()
    problem: str | None = None


def verify(
    target: Target, samples: Iterable[Sample], *, wait_s: float, stop: threading.Event | None = None
) -> Iterator[SampleOutcome]:
    """Post all samples and yield each one's outcome as soon as it is known.

    A job that has not ended after ``wait_s`` has failed; a first GPU node takes minutes. Once ``stop`` is set, samples
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
        with Client(target.endpoint, target.api_key) as sd:
            waiting: dict[str, SampleRequest] = {}
            for request in [make_request(sample, links) for sample in samples]:
                answer = _accepted(target, request, deadline, stop)
                if answer is not None and answer.status_code == httpx.codes.OK:
                    waiting[answer.json()["job"]] = request
                elif answer is not None:
                    yield SampleOutcome(
                        request=request, problem=f"refused with {answer.status_code}: {_message(answer)}"
                    )
            began = min((sd.get(job).created_at for job in waiting), default=None)
            while waiting and time.monotonic() < deadline and not stop.is_set():
                for job in sd.list(created_after=began):
                    if job.has_ended and job.job in waiting:
                        yield _judge(sd, waiting.pop(job.job), job)
                stop.wait(_LOOK_EVERY_S)
            if not stop.is_set():
                for request in waiting.values():
                    yield SampleOutcome(request=request, problem=f"not ended within {wait_s:g} seconds")
    except AWS_ERRORS as exc:
        raise explain(exc) from exc
    except ClientError as exc:
        raise DeployError(f"{target.endpoint}: {exc}", "Check the network and the stack.") from exc


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


def _judge(sd: Client, request: SampleRequest, job: Job) -> SampleOutcome:
    problem = None
    pictures: tuple[DrawnPicture, ...] = ()
    if not job.succeeded:
        problem = f"{job.error.code}: {job.error.message}" if job.error else job.state
    elif not job.images:
        problem = "it has no picture"
    else:
        try:
            pictures = tuple(read_picture(image.s3, sd.download(image)) for image in job.images)
        except (PictureError, ApiError) as exc:
            problem = str(exc)
    seconds = (job.ended_at or job.created_at) - job.created_at
    return SampleOutcome(request=request, seconds=seconds.total_seconds(), pictures=pictures, problem=problem)
