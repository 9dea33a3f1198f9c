"""SQS, SNS, S3 and DynamoDB through the AWS library: what is sent, and what its answers and errors become."""

import asyncio
import dataclasses
import io
import itertools
import math
import tracemalloc
from datetime import UTC, datetime
from unittest.mock import AsyncMock

import pytest
from agentkit import JOB
from botocore.exceptions import ClientError, EndpointConnectionError

from queue_agent.aws.clients import open_clients
from queue_agent.aws.jobs import DynamoJobs
from queue_agent.aws.objects import PART_BYTES, S3Objects
from queue_agent.aws.queue import SqsQueue
from queue_agent.errors import InputError, PlatformError, RetryableError, ServerError

MIB = 1024 * 1024


async def test_without_credentials_the_agent_does_not_start(monkeypatch):
    async def nothing(_):
        return None

    monkeypatch.setattr("aiobotocore.session.AioSession.get_credentials", nothing)
    with pytest.raises(PlatformError, match="credentials"):
        async with open_clients("eu-central-1"):
            pass


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (403, "AccessDenied", InputError, "may not be read"),
        (400, "KeyTooLongError", InputError, r"cannot be read from bucket b \(S3 says"),
        (403, "InvalidObjectState", InputError, r"cannot be read from bucket b \(S3 says"),
        (400, "ExpiredToken", PlatformError, "s3:GetObject failed"),
        (403, "RequestTimeTooSkewed", PlatformError, "s3:GetObject failed"),
        (400, "KMS.ThrottlingException", PlatformError, "s3:GetObject failed"),
        (500, "InternalError", PlatformError, "s3:GetObject failed"),
    ],
)
async def test_what_s3_will_say_again_of_an_object_is_an_input_error_and_all_else_is_the_platforms(
    status, code, error, words
):
    s3, answer = AsyncMock(), {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    s3.get_object.side_effect = ClientError(answer, "GetObject")
    with pytest.raises(error, match=words):
        await S3Objects(s3).get("b", "k", 10)


def queue_of(sqs):
    return SqsQueue(sqs, url="https://sqs/queue", dead_queue_url=None, visibility_s=90)


@pytest.mark.parametrize(("wanted", "asked_for", "wait_s"), [(1, 1, 20), (2, 2, 1), (40, 10, 1)])
async def test_one_message_is_waited_for_long_and_several_only_briefly(wanted, asked_for, wait_s):
    times = {"SentTimestamp": "1795224073954", "ApproximateFirstReceiveTimestamp": "1795224073980"}
    message = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}
    message["Attributes"] = {"ApproximateReceiveCount": "2", **times}
    sqs = AsyncMock()
    sqs.receive_message.return_value = {"Messages": [message]}
    (read,) = await queue_of(sqs).receive(wanted)
    parameters = sqs.receive_message.call_args.kwargs
    assert (parameters["MaxNumberOfMessages"], parameters["WaitTimeSeconds"]) == (asked_for, wait_s)
    assert (read.deliveries, read.sent_ms, read.first_received_ms) == (2, 1795224073954, 1795224073980)


async def test_a_release_that_sqs_does_not_answer_is_not_waited_for(message, monkeypatch):
    monkeypatch.setattr("queue_agent.aws.queue._RELEASE_S", 0.01)
    sqs = AsyncMock()
    sqs.change_message_visibility = lambda **_: asyncio.Event().wait()
    with pytest.raises(PlatformError, match="in time"):
        await queue_of(sqs).release(message)


class FakeS3:
    """The AWS library's client: notes what it is asked, by the first word, and of bodies their sizes."""

    def __init__(self):
        self.calls = []
        self.failing = {}
        self.held = {}

    def __getattr__(self, operation):
        name = operation.partition("_")[0]

        async def call(PartNumber=0, Body=None, MultipartUpload=None, **_):  # noqa: N803 (the library's names)
            if name in self.held:
                await self.held[name].wait()
            if self.failing.get(name, math.inf) <= PartNumber:
                raise ClientError({"Error": {"Code": "InternalError"}}, name)
            data = Body.read() if isinstance(Body, io.BytesIO) else Body
            self.calls.append(name if data is None else (name, len(data)))
            for number, part in enumerate((MultipartUpload or {}).get("Parts", ()), start=1):
                assert part == {"PartNumber": number, "ETag": str(number)}
            return {"UploadId": "id", "ETag": str(PartNumber)}

        return call


@pytest.fixture
def s3():
    return FakeS3()


async def stream(*sizes_bytes, then=None):
    for size_bytes in sizes_bytes:
        yield bytes(size_bytes)
    if isinstance(then, Exception):
        raise then
    if then is not None:
        await then.wait()


def put_stream(s3, chunks):
    return S3Objects(s3).put_stream("bucket", "key", chunks, "video/mp4")


@pytest.mark.parametrize(
    ("sizes_bytes", "calls"),
    [
        ([], [("put", 0)]),
        ([3, PART_BYTES - 4], [("put", PART_BYTES - 1)]),
        ([PART_BYTES], ["create", ("upload", PART_BYTES), "complete"]),
        ([1, 2 * PART_BYTES + 1], ["create", *[("upload", PART_BYTES)] * 2, ("upload", 2), "complete"]),
    ],
)
async def test_what_is_smaller_than_a_part_is_put_at_once_and_what_is_not_in_parts(s3, sizes_bytes, calls):
    assert await put_stream(s3, stream(*sizes_bytes)) == sum(sizes_bytes)
    assert s3.calls == calls


async def test_no_more_than_two_parts_of_a_large_object_are_in_memory(s3):
    tracemalloc.start()
    try:
        await put_stream(s3, stream(*itertools.repeat(MIB // 4, 400)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert PART_BYTES < peak_bytes < 2 * PART_BYTES + MIB


@pytest.mark.parametrize(
    ("failing", "source", "error", "calls"),
    [
        ({}, {"then": ServerError("broke off")}, "broke off", ["create", ("upload", PART_BYTES), "abort"]),
        ({"upload": 2, "abort": 0}, {}, "s3:UploadPart failed: InternalError", ["create", ("upload", PART_BYTES)]),
        ({"complete": 0}, {}, "s3:CompleteMultipartUpload", ["create", *[("upload", PART_BYTES)] * 2, "abort"]),
        ({"create": 0}, {}, "s3:CreateMultipartUpload", []),
    ],
)
async def test_an_upload_that_fails_is_aborted_and_ends_with_the_first_error(s3, failing, source, error, calls):
    s3.failing = failing
    sizes_bytes = [PART_BYTES] if source else [PART_BYTES, PART_BYTES]
    with pytest.raises(RetryableError, match=error):
        await put_stream(s3, stream(*sizes_bytes, **source))
    assert s3.calls == calls


@pytest.mark.parametrize("moment", ["create", "upload", "complete", "source"])
async def test_an_upload_that_is_cancelled_at_any_moment_is_aborted(s3, moment):
    held = asyncio.Event()
    if moment != "source":
        s3.held[moment] = held
    writing = asyncio.create_task(put_stream(s3, stream(PART_BYTES, then=held if moment == "source" else None)))
    await asyncio.sleep(0.02)
    writing.cancel()
    await asyncio.sleep(0.02)
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert s3.calls[0] == "create"
    assert s3.calls[-1] == "abort"


@pytest.mark.parametrize("submitted_at", [None, datetime(2026, 11, 20, tzinfo=UTC)])
async def test_a_task_was_created_when_the_api_took_it_and_a_foreign_one_when_the_queue_did(
    make_task, message, submitted_at
):
    """Whatever the clock here says."""
    sent = dataclasses.replace(message, sent_ms=message.sent_ms - 86_400_000)
    task = make_task({"prompt": "a"}, **({} if submitted_at is None else {"submitted_at": submitted_at}))
    dynamodb = AsyncMock()
    dynamodb.update_item.side_effect = EndpointConnectionError(endpoint_url="https://dynamodb")
    jobs = DynamoJobs(dynamodb, table="jobs", runtime="r", owner="o")
    with pytest.raises(PlatformError):
        await jobs.claim(task, JOB, sent, lease_s=60, start_s=60)
    created_s = float(dynamodb.update_item.call_args.kwargs["ExpressionAttributeValues"][":created_at"]["N"])
    assert created_s == (submitted_at.timestamp() if submitted_at else sent.sent_ms / 1000)
