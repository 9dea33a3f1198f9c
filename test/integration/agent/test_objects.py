"""Large objects in S3 as moto's server has it: whole, or not there at all."""

import random
import uuid

import pytest

from local.sandbox import REGION, sandbox_environment
from queue_agent.aws.clients import open_clients
from queue_agent.aws.objects import PART_BYTES, S3Objects
from queue_agent.errors import InputError, PlatformError

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
    def has_parts(self):
        """Whether parts of an object are left."""
        return bool(self._s3.list_multipart_uploads(Bucket=self.name).get("Uploads"))


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
    objects, data, sent = S3Objects(s3), DATA[:size_bytes], []
    s3.meta.events.register("before-send.s3", lambda request, **_: sent.append("Expect" in request.headers))
    await objects.put(bucket.name, KEY, data, "video/mp4", tenant="ä\n")
    # Without the header, which would have each body wait for S3's leave to send it.
    assert sent == [False] * (1 if size_bytes < PART_BYTES else 4)
    assert await objects.get(bucket.name, KEY, size_bytes, tenant="ä\n") == data
    assert await objects.get(bucket.name, KEY, size_bytes) == data
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket.name, KEY, size_bytes, tenant="other")
    await objects.put(bucket.name, KEY, data, "video/mp4")
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket.name, KEY, size_bytes, tenant="a")
    with pytest.raises(InputError, match="is larger than"):
        await objects.get(bucket.name, KEY, size_bytes - 1)
    assert await objects.get(bucket.name, "none", 1, tenant="a") is None


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


@pytest.mark.parametrize("times", [1, 100])
async def test_a_part_that_s3_rejects_is_sent_again_and_one_that_it_goes_on_rejecting_leaves_what_was_there(
    s3, bucket, times
):
    objects = S3Objects(s3)
    await objects.put(bucket.name, KEY, b"before", "video/mp4")
    refused = refuse_parts(s3, times)
    if times == 1:
        await objects.put(bucket.name, KEY, DATA, "video/mp4")
        found = bucket.read()
        assert (found["ContentType"], found["ETag"][-3:], found["Body"].read() == DATA) == ("video/mp4", '-3"', True)
    else:
        with pytest.raises(PlatformError, match="s3:UploadPart failed: SlowDown"):
            await objects.put(bucket.name, KEY, DATA, "video/mp4")
        assert bucket.read()["Body"].read() == b"before"
    assert 1 <= len(refused) <= times
    assert not bucket.has_parts
