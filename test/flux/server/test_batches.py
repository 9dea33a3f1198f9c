"""Jobs that wait together are drawn together, over real HTTP and in a real worker."""

import asyncio


def batches(server):
    """How many were drawn, and their pictures."""
    metrics = server.metrics()
    return int(metrics["flux_batch_pictures_count"]), int(metrics["flux_batch_pictures_sum"])


async def test_jobs_that_wait_together_are_drawn_in_one_batch_with_the_bytes_they_have_alone(painter, client):
    before = batches(painter)
    busy = await client.post_job(width=256, num_inference_steps=40)
    await client.until(busy, "state", "running")
    jobs = [await client.post_job(seed=seed) for seed in range(4)]
    await asyncio.gather(*map(client.end, (busy, *jobs)))
    assert batches(painter) == (before[0] + 2, before[1] + 5)
    drawn = [(await client.http.get(f"/jobs/{job_id}/outputs/1")).content for job_id in jobs]
    request = {"prompt": "a fox", "width": 64, "height": 64}
    alone = [await client.http.post("/generate_view", json={**request, "seed": seed}) for seed in range(4)]
    assert drawn == [answer.content for answer in alone]


async def test_a_job_of_a_batch_is_cancelled_and_the_others_go_on_and_it_stops_when_all_are(gatherer, connect):
    before = batches(gatherer)
    client = await connect(gatherer)
    stays, goes = [await client.post_job(seed=seed, num_inference_steps=40) for seed in (1, 2)]
    await client.until(goes, "progress")
    assert await client.delete(goes) == 204
    assert (await client.end(stays))["state"] == "succeeded"
    assert (await client.job(goes))["outputs"] == []
    assert batches(gatherer) == (before[0] + 1, before[1] + 2)
    jobs = [await client.post_job(seed=seed, num_inference_steps=200) for seed in (1, 2)]
    await client.until(jobs[1], "progress")
    await asyncio.gather(*map(client.delete, jobs))
    assert (await client.generate(width=128, num_inference_steps=1)).status_code == 200
    assert [job["progress"] < 1 for job in await asyncio.gather(*map(client.job, jobs))] == [True, True]


async def test_the_first_one_waits_for_others_as_long_as_the_options_say_unless_the_batch_is_full(gatherer, connect):
    client = await connect(gatherer)
    alone = (await client.generate()).json()["timings_s"]["queue"]
    before = batches(gatherer)
    answers = await asyncio.gather(*(client.generate() for _ in range(4)))
    assert alone >= 0.3
    assert max(answer.json()["timings_s"]["queue"] for answer in answers) < alone
    assert batches(gatherer) == (before[0] + 1, before[1] + 4)


async def test_a_job_that_is_alone_beyond_memory_fails_and_one_larger_than_any_before_is_rejected(gatherer, connect):
    gatherer.faults(out_of_memory_above=0, prompt="whale")
    client = await connect(gatherer)
    large, small = await client.post_job("a whale"), await client.post_job("a fox")
    failed = await client.end(large)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "out_of_memory")
    assert (await client.end(small))["state"] == "succeeded"
    assert (await client.generate("a whale")).status_code == 500
    answer = await client.generate("a whale", width=1024, height=512)
    assert answer.status_code == 422
    assert "512 x 512 pixels" in answer.json()["detail"][0]["problem"]


async def test_the_next_prompt_is_encoded_beside_the_drawing(painter, client):
    painter.faults(encode_seconds=0.3)
    jobs = [await client.post_job(width=width, num_inference_steps=20) for width in (64, 128, 192, 256)]
    ended = await asyncio.gather(*map(client.end, jobs))
    painter.faults()
    times = [job["timings_s"] for job in ended]
    drawing = sum(one["denoise"] + one["decode"] for one in times)
    assert [one["encode"] >= 0.3 for one in times] == [True] * 4
    assert times[-1]["queue"] < drawing + sum(one["encode"] for one in times) - 2 * 0.3
