import asyncio
import contextlib
import json

import pytest
from agentkit import JOB, PNG, FakeStore

from jobs.job import StoredOutput
from queue_agent.errors import ExecutionFailed, ServerError
from queue_agent.job_context import JobContext
from queue_agent.ports import Output, Result
from queue_agent.results import AT_ONCE, Results


class File:
    """A file on the model server, which breaks off after a number of chunks as often as a test says."""

    def __init__(self, *chunks, breaks=0, after=1, pause_s=0.0):
        self.opened = 0
        self.closed = 0
        self._chunks = chunks
        self._breaks = breaks
        self._after = after
        self._pause_s = pause_s

    @contextlib.asynccontextmanager
    async def open(self):
        self.opened += 1
        try:
            yield self._read(self._after if self.opened <= self._breaks else None)
        finally:
            self.closed += 1

    async def _read(self, until):
        for chunk in self._chunks[:until]:
            await asyncio.sleep(self._pause_s)
            yield chunk
        if until is not None:
            raise ServerError("The model server does not answer (ClientPayloadError).")


@pytest.fixture
def store():
    return FakeStore()


def pictures_of(store):
    (data,) = [data for (_, key), data in store.objects.items() if key.endswith(".out")]
    return json.loads(data)["pictures"]


@pytest.fixture
def job(make_task):
    rest = dict.fromkeys(("message", "received_s", "traceparent", "deadlines", "slot", "memory", "telemetry"))
    return JobContext(id=JOB, task=make_task({}), **rest)


@pytest.fixture
def results(store):
    return Results(s3=store, bucket="bucket", runtime_name="r")


@pytest.fixture
def keep(job, results):
    """Store the results of a job."""

    async def keep(*outputs):
        return await results.store(job, Result(outputs=list(outputs), parameters={}))

    return keep


async def test_jobs_that_are_stored_at_the_same_time_share_the_places(keep):
    files = [File(PNG, pause_s=0.01) for _ in range(2 * AT_ONCE)]
    storing = asyncio.gather(*[keep(*[Output(file.open) for file in half]) for half in (files[::2], files[1::2])])
    most = 0
    while not storing.done():
        most = max(most, sum(file.opened - file.closed for file in files))
        await asyncio.sleep(0)
    assert most == AT_ONCE


@pytest.mark.parametrize("breaks", [1, 2])
async def test_a_file_that_breaks_off_is_read_again_from_the_start_but_once(keep, store, breaks):
    file = File(PNG, bytes(9000), b"end", breaks=breaks, after=2)
    if breaks == 1:
        await keep(Output(file.open))
        assert pictures_of(store)[0]["size_bytes"] == len(PNG) + 9003
    else:
        with pytest.raises(ServerError, match="does not answer"):
            await keep(Output(file.open))
        assert store.objects == {}
    assert file.opened == file.closed == 2


async def test_when_a_picture_cannot_be_stored_the_others_are_given_up_and_closed(keep, store):
    slow = [File(PNG, pause_s=30) for _ in range(2)]
    with pytest.raises(ServerError):
        await keep(Output(slow[0].open), Output(File(PNG, breaks=2).open), Output(slow[1].open))
    assert [(file.opened, file.closed) for file in slow] == [(1, 1), (1, 1)]
    assert store.objects == {}


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"<html>", ExecutionFailed, r'not what its name says: "a\.png" holds no image'),
        (b"", ServerError, r'"a\.png" holds nothing'),  # it may be whole in the next attempt
    ],
)
async def test_a_job_that_saves_text_under_a_pictures_name_fails_at_once_and_nothing_is_stored(
    keep, store, content, error, words
):
    file = File(content)
    with pytest.raises(error, match=words):
        await keep(Output(file.open, None, "a.png"))
    assert (file.opened, store.objects) == (2, {})


async def test_a_film_in_a_form_that_nothing_here_knows_is_stored_under_its_name(keep, store):
    await keep(Output(File(b"\0\0\0\x08wide\0\0\0\x08mdat").open, None, "a.mov"))
    (stored,) = pictures_of(store)
    assert (stored["url"].rpartition(".")[2], stored["content_type"]) == ("mov", "video/quicktime")


async def test_what_is_stored_is_told_again_from_the_manifest_and_none_of_it_where_an_earlier_version_wrote_less(
    job, results, store
):
    name = "n" * 300 + ".png"
    await results.store(
        job, Result(outputs=[Output(File(PNG).open, 5, name), Output(b"text", None, "a.txt")], parameters={})
    )
    outputs, job.outputs = job.outputs, ()
    size = {"width": 1, "height": 1}
    assert outputs == (
        StoredOutput(content_type="image/png", size_bytes=len(PNG), seed=5, name="n" * 255, **size),
        StoredOutput(content_type="text/plain", size_bytes=4, name="a.txt"),
    )
    assert await results.find(job)
    assert job.outputs == outputs
    (place,) = [place for place in store.objects if place[1].endswith(".out")]
    manifest = json.loads(store.objects[place])
    for pictures in ([{"url": "s3://bucket/a"}], 7, ["a"]):
        store.objects[place] = json.dumps({**manifest, "pictures": pictures}).encode()
        assert await results.find(job)
        assert job.outputs == ()
