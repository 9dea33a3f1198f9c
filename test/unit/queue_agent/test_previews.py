"""Previews of a running job: which are stored, and that none of them harms the job."""

import asyncio
import time

import pytest
from agentkit import JOB, PNG, FakeStore, until

from contract.objects import preview_key
from queue_agent.errors import PlatformError, ServerError
from queue_agent.job_context import JobContext
from queue_agent.ports import MAX_PREVIEW_BYTES
from queue_agent.previews import Previews

GIF = b"GIF89a" + bytes(20)


class Server:
    """Shows pictures, one after another, the last one again and again; an error is raised."""

    def __init__(self, *shown):
        self.shown = list(shown)
        self.asked = 0

    async def preview(self, job):
        assert job == JOB
        self.asked += 1
        shown = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
        if isinstance(shown, Exception):
            raise shown
        return shown


class Store(FakeStore):
    """Notes the tenant, too; ``broken`` fails the first writes."""

    def __init__(self, broken=0):
        super().__init__()
        self.broken = broken

    async def put(self, bucket, key, data, content_type, *, tenant=None):
        if self.broken:
            self.broken -= 1
            raise PlatformError("s3:PutObject failed: SlowDown")
        await super().put(bucket, key, data, content_type)
        self.writes[-1] += (tenant,)


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    monkeypatch.setattr("queue_agent.previews._EVERY_S", 0.001)


@pytest.fixture
def keep(make_task):
    """Keep the previews of a job until its server was asked often enough; gives the job."""
    rest = dict.fromkeys(("message", "received_s", "traceparent", "deadlines", "slot", "memory", "telemetry"))

    async def keep(server, store, *, wanted=("preview",)):
        job = JobContext(id=JOB, task=make_task({}, keep=wanted, tenant="t"), **rest)
        looks = len(server.shown) + 3
        async with Previews(server=server, store=store, bucket="bucket").kept(job):
            await (until(lambda: server.asked > looks) if wanted else asyncio.sleep(0.05))
        return job

    return keep


async def test_each_new_preview_of_a_task_that_wants_them_replaces_the_one_before_and_is_its_tenants(keep):
    store, start_s = Store(), time.time()
    job = await keep(Server(None, PNG, PNG, None, GIF, GIF), store)
    key = preview_key(JOB)
    assert store.writes == [(key, "image/png", "t"), (key, "image/gif", "t")]
    assert store.objects == {("bucket", key): GIF}
    assert start_s - 1 < job.previewed_s <= time.time()


async def test_a_server_is_asked_for_no_preview_that_nobody_wants(keep):
    server = Server(PNG)
    job = await keep(server, Store(), wanted=None)
    assert (server.asked, job.previewed_s) == (0, None)


@pytest.mark.parametrize(
    "broken",
    [b"<svg onload='x'/>", b"<html>", PNG.ljust(MAX_PREVIEW_BYTES + 1), ServerError("away"), KeyError("current_image")],
)
async def test_a_preview_that_is_broken_or_too_large_is_left_out_and_the_next_one_stored(keep, broken):
    store = Store()
    job = await keep(Server(broken, broken, PNG), store)
    assert (store.writes, list(store.objects.values())) == ([(preview_key(JOB), "image/png", "t")], [PNG])
    assert job.previewed_s


async def test_a_preview_that_cannot_be_stored_is_reported_once_and_harms_nothing(keep, caplog):
    job = await keep(Server(PNG, GIF, PNG, GIF), Store(broken=3))
    assert job.previewed_s
    assert [record.levelname for record in caplog.records if "SlowDown" in record.getMessage()] == ["WARNING"]
