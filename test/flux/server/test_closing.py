"""At SIGTERM, the server rejects new jobs, finishes running ones, lets callers fetch pictures, and ends."""

import asyncio
import os
import signal

import pytest


async def test_after_sigterm_running_jobs_end_and_new_ones_are_rejected(serve):
    server = serve()
    running = asyncio.create_task(server.generate(num_inference_steps=40))
    await asyncio.to_thread(server.wait_for, lambda: server.health()["workers"][0]["running"])
    job_id = await server.post_job(width=128)
    waiting = asyncio.create_task(server.end(job_id))
    await server.until(job_id, "state")
    server.process.send_signal(signal.SIGTERM)
    rejected = await server.generate()
    assert (rejected.status_code, rejected.json()["detail"]) == (503, "the server is stopping")
    assert server.health()["ready"] is False
    assert (await waiting)["error"] == {"code": "worker_lost", "message": "the server is stopping"}
    assert (await running).status_code == 200
    assert await asyncio.to_thread(server.process.wait, 60) == 0


async def test_a_job_that_runs_beyond_the_grace_is_stopped(serve):
    server = serve(GRACE_SECONDS=0.3)
    running = asyncio.create_task(server.generate(num_inference_steps=200))
    await asyncio.to_thread(server.wait_for, lambda: server.health()["workers"][0]["running"])
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, 60) == 0
    assert (await running).status_code == 503


async def test_pictures_can_be_fetched_after_sigterm_and_then_server_and_worker_end(serve):
    server = serve()
    (worker,) = server.workers()
    jobs = [await server.post_job(seed=seed) for seed in (1, 2)]
    await server.end(*jobs)
    assert (await server.output(jobs[0])).status_code == 200
    server.process.send_signal(signal.SIGTERM)
    await asyncio.to_thread(server.wait_for_log, "the server stops")
    assert server.process.poll() is None
    assert (await server.output(jobs[1])).status_code == 200
    assert await asyncio.to_thread(server.process.wait, 60) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
