"""SIGTERM: no new jobs, running ones end, then the server is gone."""

import asyncio
import os
import signal

import httpx
import pytest


@pytest.fixture
async def linger(serve, connect):
    """Stops a server while it keeps a picture that nobody has fetched, for which it waits."""
    server = serve()
    client = await connect(server)
    await client.end(await client.post_job())

    def begin():
        server.process.send_signal(signal.SIGTERM)
        return server.process

    return begin


async def test_after_sigterm_running_jobs_end_and_no_new_ones_are_taken(serve, connect, until):
    server = serve()
    client = await connect(server)
    running = asyncio.create_task(client.generate(num_inference_steps=40))
    await asyncio.to_thread(until, lambda: server.health()["workers"][0]["running"])
    job_id = await client.post_job(width=128)
    waiting = asyncio.create_task(client.until(job_id, "end"))
    await client.until(job_id, "state")
    server.process.send_signal(signal.SIGTERM)
    refused = await client.generate()
    assert (refused.status_code, refused.json()["detail"]) == (503, "the server is stopping")
    assert server.health()["ready"] is False
    assert (await waiting)["error"] == {"code": "worker_lost", "message": "the server is stopping"}
    assert (await running).status_code == 200
    assert server.process.wait(10) == 0


async def test_what_runs_beyond_the_grace_is_stopped(serve, connect, until):
    server = serve(environment={"GRACE_SECONDS": 0.3})
    client = await connect(server)
    running = asyncio.create_task(client.generate(num_inference_steps=200))
    await asyncio.to_thread(until, lambda: server.health()["workers"][0]["running"])
    assert await asyncio.to_thread(server.stop) == 0
    with pytest.raises(httpx.HTTPStatusError, match="503"):
        (await running).raise_for_status()


async def test_a_kept_job_whose_picture_was_fetched_does_not_hold_the_server_back(serve, connect, linger):
    server = serve()
    client = await connect(server)
    job_id = await client.post_job()
    await client.end(job_id)
    assert (await client.http.get(f"/jobs/{job_id}/outputs/1")).status_code == 200
    lingering = linger()
    assert await asyncio.to_thread(server.stop) == 0
    assert lingering.poll() is None


async def test_a_picture_that_nobody_fetched_yet_can_be_fetched_for_a_while_after_sigterm(serve, connect, linger):
    server = serve()
    client = await connect(server)
    job_id = await client.post_job()
    await client.end(job_id)
    server.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(1.5)
    lingering = linger()
    assert (await client.http.get(f"/jobs/{job_id}/outputs/1")).status_code == 200
    assert await asyncio.to_thread(server.process.wait, 10) == 0
    assert lingering.poll() is None


async def test_an_idle_server_goes_at_once_and_takes_its_workers_along(serve, linger):
    server = serve()
    (worker,) = server.workers()
    lingering = linger()
    assert await asyncio.to_thread(server.stop) == 0
    assert lingering.poll() is None
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
