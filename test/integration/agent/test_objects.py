"""Large objects in S3 as moto's server has it: whole, or not there at all."""

import asyncio
import random
import uuid

import pytest

from local.sandbox import REGION, sandbox_environment
from queue_agent.aws.clients import open_clients
from queue_agent.aws.objects import PART_BYTES, S3Objects
from queue_agent.errors import InputError, PlatformError, ServerError

KEY = "output/a/a-1.mp4"
DATA = random.Random(1).randbytes(2 * PART_BYTES + PART_BYTES // 2)


class Bucket:
    """A bucket, seen from beside the agent."""

    def __init__(self, s3):
        self._s3 = s3
        self.name = f"objects-{uuid.uuid4().hex[:8]}"
        s3.create_bucket(Bucket=self.name)

    def read(self):
        return self._s3.get_object(Bucket=self.name, Key=KEY)

    @property
    def is_empty(self):
        """Whether there is nothing, neither objects nor parts of any."""
        uploads = self._s3.list_multipart_uploads(Bucket=self.name).get("Uploads", [])
        return (uploads, self._s3.list_objects_v2(Bucket=self.name)["KeyCount"]) == ([], 0)


@pytest.fixture
def bucket(aws):
    return Bucket(aws.s3)


@pytest.fixture
async def s3(aws, monkeypatch):
    for name, value in sandbox_environment(aws.url).items():
        monkeypatch.setenv(name, value)
    async with open_clients(REGION) as clients:
        yield clients.s3


@pytest.mark.parametrize("size_bytes", [10, PART_BYTES + 1])
async def test_what_is_stored_for_a_tenant_is_read_for_that_tenant_alone(s3, bucket, size_bytes):
    objects, data = S3Objects(s3), DATA[:size_bytes]
    await objects.put(bucket.name, KEY, data, "video/mp4", tenant="ä\n")
    assert await objects.get(bucket.name, KEY, size_bytes, tenant="ä\n") == data
    assert await objects.get(bucket.name, KEY, size_bytes) == data
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket.name, KEY, size_bytes, tenant="other")


async def test_what_is_stored_for_nobody_is_read_for_no_tenant(s3, bucket):
    objects = S3Objects(s3)
    await objects.put(bucket.name, KEY, DATA, "video/mp4")
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket.name, KEY, len(DATA), tenant="a")
    assert await objects.get(bucket.name, "none", 1, tenant="a") is None


async def stream(*, until=None, then=None):
    """The data piece by piece, up to where it breaks off or stops."""
    data = DATA[:until]
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]
    if isinstance(then, Exception):
        raise then
    if then is not None:
        await then.wait()


class Refusal:
    """S3's answer when it does not take a part."""

    status_code = 503

    def __init__(self):
        self.headers = {}

    @property
    async def content(self):
        return b"<Error><Code>SlowDown</Code></Error>"


def refuse_parts(s3, times):
    """Make S3 refuse every part from the second on, so often; gives what counts the refusals."""
    refused = []

    def refuse(request, **_):
        if "partNumber=1&" in request.url or len(refused) == times:
            return None
        refused.append(request.url)
        return Refusal()

    s3.meta.events.register("before-send.s3.UploadPart", refuse)
    return refused


def put(s3, bucket, chunks):
    return S3Objects(s3).put_stream(bucket.name, KEY, chunks, "video/mp4")


async def test_an_object_in_parts_is_what_was_read_with_its_type(s3, bucket):
    assert await put(s3, bucket, stream()) == len(DATA)
    found = bucket.read()
    assert (found["ContentType"], found["Body"].read() == DATA) == ("video/mp4", True)
    assert found["ETag"].endswith('-3"')


@pytest.mark.parametrize("times", [1, 100])
async def test_a_part_that_s3_rejects_is_sent_again_and_one_that_it_goes_on_rejecting_leaves_nothing(s3, bucket, times):
    refused = refuse_parts(s3, times)
    if times == 1:
        await put(s3, bucket, stream())
        assert bucket.read()["Body"].read() == DATA
    else:
        with pytest.raises(PlatformError, match="s3:UploadPart failed: SlowDown"):
            await put(s3, bucket, stream())
        assert bucket.is_empty
    assert 1 <= len(refused) <= times


async def test_a_source_that_breaks_off_leaves_nothing(s3, bucket):
    with pytest.raises(ServerError):
        await put(s3, bucket, stream(until=PART_BYTES + 1, then=ServerError("broke off")))
    assert bucket.is_empty


async def test_an_upload_that_is_cancelled_leaves_nothing(s3, bucket):
    writing = asyncio.create_task(put(s3, bucket, stream(until=PART_BYTES + 1, then=asyncio.Event())))
    while bucket.is_empty:  # noqa: ASYNC110 (S3 tells nobody)
        await asyncio.sleep(0.02)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert bucket.is_empty


async def test_an_object_that_was_there_stays_when_its_successor_fails(s3, bucket):
    await S3Objects(s3).put(bucket.name, KEY, b"before", "video/mp4")
    with pytest.raises(ServerError):
        await put(s3, bucket, stream(until=PART_BYTES + 1, then=ServerError("broke off")))
    assert bucket.read()["Body"].read() == b"before"
