"""How long Prometheus is told that devices are busy."""

STEPS, STEP_S = 50, 0.02
MIN_SHARE = 0.8
"""The server hears of beginning and end a moment later; the first moment may be the longer one."""


def busy_seconds(server):
    """How long each device has drawn, so far."""
    metrics = server.metrics()
    return [metrics.get(f'flux_busy_seconds_total{{worker="{number}"}}', 0.0) for number in (0, 1)]


async def test_a_device_is_busy_for_as_long_as_it_draws_however_many_jobs_wait_for_it_and_no_other_is(pair, connect):
    client = await connect(pair)
    before = busy_seconds(pair)
    job_id = await client.post_job(num_inference_steps=STEPS)
    await client.until(job_id, "progress")
    (drawing,) = [at for at, worker in enumerate(pair.health()["workers"]) if worker["running"]]
    times = (await client.end(job_id))["timings_s"]
    busy = [after - earlier for after, earlier in zip(busy_seconds(pair), before, strict=True)]
    assert MIN_SHARE * STEPS * STEP_S <= MIN_SHARE * times["denoise"] <= busy[drawing]
    assert busy[1 - drawing] == 0
