"""What Prometheus is told of the devices, measured against the clock."""

import asyncio
import time

STEPS, STEP_S = 50, 0.02
LEAST = 0.8
"""The server hears of beginning and end a moment later; the first moment may be the longer one."""
LONG = {"num_inference_steps": STEPS}


def busy_seconds(server) -> list[float]:
    """How long each device has drawn, so far."""
    metrics = server.metrics()
    workers = range(len(server.health()["workers"]))
    return [metrics.get(f'flux_busy_seconds_total{{worker="{number}"}}', 0.0) for number in workers]


async def test_a_device_that_draws_is_busy_for_as_long_as_that_takes_and_no_other_is(pair, connect):
    client = await connect(pair)
    before, started = busy_seconds(pair), time.monotonic()
    job_id = await client.post_job(**LONG)
    await client.until(job_id, "progress")
    (drawing,) = [at for at, worker in enumerate(pair.health()["workers"]) if worker["running"]]
    await client.end(job_id)
    wall_s = time.monotonic() - started
    busy = [after - earlier for after, earlier in zip(busy_seconds(pair), before, strict=True)]
    assert LEAST * STEPS * STEP_S <= busy[drawing] <= wall_s
    assert busy[1 - drawing] == 0


async def test_a_device_is_not_busy_twice_while_another_job_waits_for_it(painter, client):
    before, started = busy_seconds(painter)[0], time.monotonic()
    jobs = [await client.post_job(width=width, **LONG) for width in (64, 128)]
    ended = await asyncio.gather(*map(client.end, jobs))
    wall_s = time.monotonic() - started
    assert ended[1]["timings_s"]["queue"] > STEPS * STEP_S / 2
    assert LEAST * 2 * STEPS * STEP_S <= busy_seconds(painter)[0] - before <= wall_s
