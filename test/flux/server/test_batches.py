"""Jobs that wait together are drawn together, over real HTTP and in a real worker."""

import asyncio


def batches(server):
    """How many were drawn, and their pictures."""
    metrics = server.metrics()
    return int(metrics["flux_batch_pictures_count"]), int(metrics["flux_batch_pictures_sum"])


async def test_jobs_that_wait_together_are_drawn_in_one_batch_with_the_bytes_they_have_alone(painter):
    before = batches(painter)
    busy = await painter.post_job(width=256, num_inference_steps=40)
    await painter.until(busy, "state", "running")
    jobs = [await painter.post_job(seed=seed) for seed in range(4)]
    await painter.end(busy, *jobs)
    assert batches(painter) == (before[0] + 2, before[1] + 5)
    alone = [await painter.post_job(seed=seed, width=64) for seed in range(4)]
    for job_id in alone:
        await painter.end(job_id)
    drawn = [(await painter.output(job_id)).content for job_id in (*jobs, *alone)]
    assert drawn[:4] == drawn[4:]


async def test_a_job_of_a_batch_is_cancelled_and_the_others_go_on_and_it_stops_when_all_are(gatherer):
    before = batches(gatherer)
    stays, goes = [await gatherer.post_job(seed=seed, num_inference_steps=40) for seed in (1, 2)]
    await gatherer.until(goes, "progress")
    assert await gatherer.delete(goes) == 204
    assert (await gatherer.end(stays))["state"] == "succeeded"
    assert (await gatherer.job(goes))["outputs"] == []
    assert batches(gatherer) == (before[0] + 1, before[1] + 2)
    jobs = [await gatherer.post_job(seed=seed, num_inference_steps=200) for seed in (1, 2)]
    await gatherer.until(jobs[1], "progress")
    await asyncio.gather(*map(gatherer.delete, jobs))
    assert (await gatherer.generate(width=128, num_inference_steps=1)).status_code == 200
    assert all([(await gatherer.job(job_id))["progress"] < 1 for job_id in jobs])


async def test_the_first_one_waits_for_others_as_long_as_the_options_say_unless_the_batch_is_full(gatherer):
    alone = (await gatherer.generate()).json()["timings_s"]["queue"]
    before = batches(gatherer)
    answers = await asyncio.gather(*(gatherer.generate() for _ in range(4)))
    assert alone >= 0.3
    assert max(answer.json()["timings_s"]["queue"] for answer in answers) < alone
    assert batches(gatherer) == (before[0] + 1, before[1] + 4)


async def test_a_picture_beyond_memory_is_answered_500_and_one_larger_than_any_before_422(gatherer):
    gatherer.faults(out_of_memory_above=0, prompt="whale")
    answers = [await gatherer.generate("a whale", width=width, height=512) for width in (64, 1024)]
    assert [answer.status_code for answer in answers] == [500, 422]
    assert "512 x 512 pixels" in answers[1].json()["detail"][0]["problem"]


async def test_the_next_prompt_is_encoded_beside_the_drawing(painter):
    painter.faults(encode_seconds=0.3)
    jobs = [await painter.post_job(width=width, num_inference_steps=20) for width in (64, 128, 192, 256)]
    times = [job["timings_s"] for job in await painter.end(*jobs)]
    drawing = sum(one["denoise"] + one["decode"] for one in times)
    assert [one["encode"] >= 0.3 for one in times] == [True] * 4
    assert times[-1]["queue"] < drawing + sum(one["encode"] for one in times) - 2 * 0.3


async def test_a_device_is_busy_for_as_long_as_it_draws_and_no_other_is(pair):
    def busy_seconds():
        metrics = pair.metrics()
        return [metrics.get(f'flux_busy_seconds_total{{worker="{number}"}}', 0.0) for number in (0, 1)]

    before = busy_seconds()
    job_id = await pair.post_job(num_inference_steps=50)
    await pair.until(job_id, "progress")
    (drawing,) = [at for at, worker in enumerate(pair.health()["workers"]) if worker["running"]]
    times = (await pair.end(job_id))["timings_s"]
    busy = [after - earlier for after, earlier in zip(busy_seconds(), before, strict=True)]
    assert 0.8 * times["denoise"] <= busy[drawing], "the server hears of beginning and end a moment later"
    assert busy[1 - drawing] == 0
