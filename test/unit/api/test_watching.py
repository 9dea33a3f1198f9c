"""The one loop that asks for all jobs that somebody waits for."""

import asyncio
import threading
from contextlib import aclosing
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.parsers import ResponseParserError

from api import watching
from api.watching import Watcher

FAILURES = [EndpointConnectionError(endpoint_url="here"), ResponseParserError("no XML"), KeyError("state")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
async def test_whatever_fails_once_those_who_wait_are_told_of_the_next_change(monkeypatch, failure):
    monkeypatch.setattr(watching, "_FAILED_PAUSE_S", 0.01)
    failures = [failure]

    def versions(jobs):
        if failures:
            raise failures.pop()
        return dict.fromkeys(jobs, 2)

    store = SimpleNamespace(
        versions=versions, get_many=lambda jobs: {job: SimpleNamespace(id=job, version=2) for job in jobs}
    )
    async with asyncio.timeout(60), aclosing(Watcher(store).changes(SimpleNamespace(id="a", version=1))) as changes:
        assert (await anext(changes)).version == 2
    assert failures == []


async def test_a_job_whose_waiters_go_while_it_is_read_is_not_asked_for_again(monkeypatch):
    monkeypatch.setattr(watching, "_MIN_PAUSE_S", 0.01)
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    loop, asked, reading, gone = asyncio.get_running_loop(), [], asyncio.Event(), threading.Event()

    def versions(jobs):
        asked.append(jobs)
        return dict.fromkeys(jobs, 2)

    def get_many(jobs):
        loop.call_soon_threadsafe(reading.set)
        gone.wait(60)
        return {job: SimpleNamespace(id=job, version=2) for job in jobs}

    watcher = Watcher(SimpleNamespace(versions=versions, get_many=get_many))

    async def wait(job):
        async with aclosing(watcher.changes(SimpleNamespace(id=job, version=1))) as changes:
            await anext(changes)

    async with asyncio.timeout(60):
        leaving = asyncio.create_task(wait("a"))
        await reading.wait()
        staying = asyncio.create_task(wait("b"))
        leaving.cancel()
        await asyncio.wait([leaving])
        gone.set()
        await staying
    assert asked == [["a"], ["b"]]


async def test_a_job_that_can_never_be_read_keeps_no_other_waiting():
    def get_many(jobs):
        if "broken" in jobs:
            raise ValueError("not a job")
        return {job: SimpleNamespace(id=job, version=2) for job in jobs}

    watcher = Watcher(SimpleNamespace(versions=lambda jobs: dict.fromkeys(jobs, 2), get_many=get_many))

    async def wait(job):
        async with aclosing(watcher.changes(SimpleNamespace(id=job, version=1))) as changes:
            return await anext(changes)

    waiting = asyncio.create_task(wait("broken"))
    async with asyncio.timeout(60):
        await asyncio.sleep(0)
        assert (await wait("whole")).version == 2
    waiting.cancel()


async def test_a_change_that_the_second_read_does_not_see_yet_is_read_again(monkeypatch):
    monkeypatch.setattr(watching, "_EVERY_S", 0.01)
    monkeypatch.setattr(watching, "_MIN_PAUSE_S", 0.01)
    copies = [1, 2]

    def get_many(jobs):
        version = copies.pop(0)
        return {job: SimpleNamespace(id=job, version=version) for job in jobs}

    store = SimpleNamespace(versions=lambda jobs: dict.fromkeys(jobs, 2), get_many=get_many)
    async with asyncio.timeout(60), aclosing(Watcher(store).changes(SimpleNamespace(id="a", version=1))) as changes:
        assert (await anext(changes)).version == 2
