import asyncio
import itertools
import tracemalloc

import pytest
from botocore.exceptions import ClientError

from queue_agent.aws.objects import PART_BYTES, S3Objects
from queue_agent.errors import PlatformError, ServerError

MIB = 1024 * 1024


class S3:
    """The AWS library's client, and quick calls that all go wrong; notes what it is asked, of bodies their sizes."""

    endpoint_url = "https://s3"

    def __init__(self):
        self.client = self
        self.calls = []
        self.failing = {}
        self.held = {}

    async def _call(self, name, **options):
        if name in self.held:
            await self.held[name].wait()
        if (number := self.failing.get(name)) is not None and number <= options.get("PartNumber", 0):
            raise ClientError({"Error": {"Code": "InternalError"}}, name)
        body = options.get("Body")
        self.calls.append(name if body is None else (name, len(body)))

    async def answer(self, *_):
        return None

    async def put_object(self, **options):
        await self._call("put", **options)

    async def create_multipart_upload(self, **options):
        await self._call("create", **options)
        return {"UploadId": "id"}

    async def upload_part(self, **options):
        await self._call("part", **options)
        return {"ETag": f"etag-{options['PartNumber']}"}

    async def complete_multipart_upload(self, **options):
        await self._call("complete", **options)
        parts = options["MultipartUpload"]["Parts"]
        assert parts == [{"PartNumber": number, "ETag": f"etag-{number}"} for number in range(1, len(parts) + 1)]

    async def abort_multipart_upload(self, **options):
        await self._call("abort", **options)


@pytest.fixture
def s3():
    return S3()


async def stream(*sizes_bytes, then=None):
    for size_bytes in sizes_bytes:
        yield bytes(size_bytes)
    if isinstance(then, Exception):
        raise then
    if then is not None:
        await then.wait()


def put(s3, chunks):
    return S3Objects(s3).put_stream("bucket", "key", chunks, "video/mp4")


@pytest.mark.parametrize(
    ("sizes_bytes", "calls"),
    [
        ([], [("put", 0)]),
        ([3, 4], [("put", 7)]),
        ([PART_BYTES - 1], [("put", PART_BYTES - 1)]),
        ([PART_BYTES], ["create", ("part", PART_BYTES), "complete"]),
        ([PART_BYTES, 1], ["create", ("part", PART_BYTES), ("part", 1), "complete"]),
        ([1, 2 * PART_BYTES + 1], ["create", ("part", PART_BYTES), ("part", PART_BYTES), ("part", 2), "complete"]),
    ],
)
async def test_what_is_smaller_than_a_part_is_put_at_once_and_what_is_not_in_parts(s3, sizes_bytes, calls):
    assert await put(s3, stream(*sizes_bytes)) == sum(sizes_bytes)
    assert s3.calls == calls


async def test_large_bytes_are_written_in_parts_too(s3):
    await S3Objects(s3).put("bucket", "key", bytes(PART_BYTES + 1), "image/png")
    assert s3.calls == ["create", ("part", PART_BYTES), ("part", 1), "complete"]


async def test_no_more_than_two_parts_of_a_large_object_are_in_memory(s3):
    tracemalloc.start()
    try:
        await put(s3, stream(*itertools.repeat(MIB // 4, 400)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert PART_BYTES < peak_bytes < 2 * PART_BYTES + MIB


@pytest.mark.parametrize("call", ["part", "complete"])
async def test_an_upload_that_s3_does_not_take_is_aborted(s3, call):
    s3.failing = {call: 2 if call == "part" else 0}
    with pytest.raises(PlatformError, match="InternalError"):
        await put(s3, stream(PART_BYTES, PART_BYTES))
    assert s3.calls[-1] == "abort"
    assert "complete" not in s3.calls


async def test_an_upload_whose_source_breaks_off_is_aborted_and_the_sources_fault_told(s3):
    with pytest.raises(ServerError, match="broke off"):
        await put(s3, stream(PART_BYTES, then=ServerError("broke off")))
    assert s3.calls == ["create", ("part", PART_BYTES), "abort"]


async def test_what_breaks_off_before_the_first_part_is_full_is_not_put(s3):
    with pytest.raises(ServerError):
        await put(s3, stream(1000, then=ServerError("broke off")))
    assert s3.calls == []


async def test_an_upload_that_cannot_even_be_aborted_ends_with_the_first_fault(s3):
    s3.failing = {"part": 2, "abort": 0}
    with pytest.raises(PlatformError, match="UploadPart"):
        await put(s3, stream(PART_BYTES, PART_BYTES))


async def test_an_upload_that_is_never_begun_is_not_aborted(s3):
    s3.failing = {"create": 0}
    with pytest.raises(PlatformError, match="CreateMultipartUpload"):
        await put(s3, stream(PART_BYTES))
    assert s3.calls == []


@pytest.mark.parametrize("moment", ["create", "part", "complete", "source"])
async def test_an_upload_that_is_cancelled_at_any_moment_is_aborted(s3, moment):
    held = asyncio.Event()
    if moment != "source":
        s3.held[moment] = held
    writing = asyncio.create_task(put(s3, stream(PART_BYTES, then=held if moment == "source" else None)))
    await asyncio.sleep(0.02)
    writing.cancel()
    await asyncio.sleep(0.02)
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert s3.calls[0] == "create"
    assert s3.calls[-1] == "abort"
