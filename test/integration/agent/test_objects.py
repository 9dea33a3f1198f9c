"""Large objects in S3 as moto's server has it: whole, or not there at all."""

import random
import uuid

import pytest
from botocore.awsrequest import AWSResponse

from local.sandbox import REGION, sandbox_environment
from queue_agent.aws.clients import open_clients
from queue_agent.aws.objects import PART_BYTES, S3Objects
from queue_agent.errors import InputError, PlatformError

KEY = "output/a/a-1.mp4"
DATA = random.Random(1).randbytes(2 * PART_BYTES + PART_BYTES // 2)


@pytest.fixture
def bucket(aws):
    name = f"objects-{uuid.uuid4().hex[:8]}"
    aws.s3.create_bucket(Bucket=name)
    return name


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
    await objects.put(bucket, KEY, data, "video/mp4", tenant="ä\n")
    # Without the header, which would have each body wait for S3's leave to send it.
    assert sent == [False] * (1 if size_bytes < PART_BYTES else 4)
    assert await objects.get(bucket, KEY, size_bytes, tenant="ä\n") == data
    assert await objects.get(bucket, KEY, size_bytes) == data
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket, KEY, size_bytes, tenant="other")
    await objects.put(bucket, KEY, data, "video/mp4")
    with pytest.raises(InputError, match="not a result of the same API key"):
        await objects.get(bucket, KEY, size_bytes, tenant="a")
    with pytest.raises(InputError, match="is larger than"):
        await objects.get(bucket, KEY, size_bytes - 1)
    assert await objects.get(bucket, "none", 1, tenant="a") is None


class Refusal(AWSResponse):
    """S3's answer when it does not take a part."""

    def __init__(self, url):
        super().__init__(url, 503, {}, None)

    @property
    async def content(self):
        return b"<Error><Code>SlowDown</Code></Error>"


@pytest.mark.parametrize("times", [1, 100])
async def test_a_part_that_s3_rejects_is_sent_again_and_one_that_it_goes_on_rejecting_leaves_what_was_there(
    aws, s3, bucket, times
):
    refused = []

    def refuse(request, **_):
        if "partNumber=1&" in request.url or len(refused) == times:
            return None
        refused.append(request.url)
        return Refusal(request.url)

    s3.meta.events.register("before-send.s3.UploadPart", refuse)
    objects = S3Objects(s3)
    await objects.put(bucket, KEY, b"before", "video/mp4")
    if times == 1:
        await objects.put(bucket, KEY, DATA, "video/mp4")
    else:
        with pytest.raises(PlatformError, match="s3:UploadPart failed: SlowDown"):
            await objects.put(bucket, KEY, DATA, "video/mp4")
    found = aws.s3.get_object(Bucket=bucket, Key=KEY)
    assert (found["ContentType"], found["Body"].read() == (DATA if times == 1 else b"before")) == ("video/mp4", True)
    assert found["ETag"].endswith('-3"') == (times == 1)
    assert 1 <= len(refused) <= times
    assert not aws.s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
