"""Jobs that wait together are drawn together, over real HTTP and in a real worker."""

import asyncio
import time

BUSY = {"width": 256, "num_inference_steps": 40}
STEP_S = 0.02


async def keep_busy(client) -> str:
    """A job that the worker is drawing, so that others wait."""
    job_id = await client.post_job(**BUSY)
    await client.until(job_id, "state", "running")
    return job_id


def batches(server) -> tuple[int, int]:
    """How many were drawn, and their pictures."""
    metrics = server.metrics()
    return int(metrics["flux_batch_pictures_count"]), int(metrics["flux_batch_pictures_sum"])


async def test_jobs_that_wait_together_are_drawn_in_one_batch(painter, client):
    before = batches(painter)
    busy = await keep_busy(client)
    jobs = [await client.post_job(seed=seed) for seed in range(4)]
    await asyncio.gather(*map(client.end, (busy, *jobs)))
    assert batches(painter) == (before[0] + 2, before[1] + 5)


async def test_a_picture_of_a_batch_has_the_bytes_it_has_alone(client):
    busy = await keep_busy(client)
    jobs = [await client.post_job(seed=seed) for seed in (1, 2, 3)]
    await asyncio.gather(*map(client.end, (busy, *jobs)))
    drawn = [(await client.http.get(f"/jobs/{job_id}/outputs/1")).content for job_id in jobs]
    alone = [(await client.http.post("/generate_view", json=one)).content for one in map(request, (1, 2, 3))]
    assert drawn == alone


def request(seed: int) -> dict:
    return {"prompt": "a fox", "width": 64, "height": 64, "seed": seed}


async def test_a_batch_holds_no_more_pictures_than_the_options_allow(painter, client):
    at_most_three = 'flux_batch_pictures_bucket{le="3.0"}'
    before = painter.metrics()
    busy = await keep_busy(client)
    jobs = [await client.post_job(seed=seed, num_images=3) for seed in range(3)]
    await asyncio.gather(*map(client.end, (busy, *jobs)))
    after = painter.metrics()
    assert after["flux_batch_pictures_count"] - before["flux_batch_pictures_count"] == 4
    assert after[at_most_three] - before[at_most_three] == 4


async def test_a_job_of_another_kind_is_not_overtaken_for_ever(client):
    await keep_busy(client)
    first = [await client.post_job(seed=seed) for seed in range(2)]
    other = await client.post_job(width=128)
    later = [await client.post_job(seed=seed, num_inference_steps=4) for seed in range(2, 11)]
    ends = {job_id: asyncio.create_task(client.end(job_id)) for job_id in (*first, other, *later)}
    done = []
    for job_id, end in ends.items():
        end.add_done_callback(lambda _, job_id=job_id: done.append(job_id))
    await asyncio.gather(*ends.values())
    assert done.index(other) < done.index(later[2]), "the batch after the first one was not the other's"


async def test_a_job_of_a_batch_is_cancelled_and_the_others_go_on(gatherer, connect):
    before = batches(gatherer)
    client = await connect(gatherer)
    stays, goes = [await client.post_job(seed=seed, num_inference_steps=40) for seed in (1, 2)]
    await client.until(goes, "progress")
    assert await client.delete(goes) == 204
    assert (await client.end(stays))["state"] == "succeeded"
    assert (await client.job(goes))["outputs"] == []
    assert batches(gatherer) == (before[0] + 1, before[1] + 2)


async def test_a_batch_stops_when_all_its_jobs_are_cancelled(gatherer, connect):
    client = await connect(gatherer)
    jobs = [await client.post_job(seed=seed, num_inference_steps=200) for seed in (1, 2)]
    await client.until(jobs[1], "progress")
    await asyncio.gather(*map(client.delete, jobs))
    assert (await client.generate(width=128, num_inference_steps=1)).status_code == 200
    assert [job["progress"] < 1 for job in await asyncio.gather(*map(client.job, jobs))] == [True, True]


async def test_the_first_one_waits_for_others_no_longer_than_the_options_say(gatherer, connect):
    client = await connect(gatherer)
    alone = (await client.generate()).json()["timings_s"]["queue"]
    before = batches(gatherer)
    answers = await asyncio.gather(*(client.generate() for _ in range(4)))
    full = [answer.json()["timings_s"]["queue"] for answer in answers]
    assert alone >= 0.3
    assert max(full) < alone
    assert batches(gatherer) == (before[0] + 1, before[1] + 4)


async def test_a_batch_beyond_memory_is_drawn_one_by_one(gatherer, connect):
    gatherer.faults(out_of_memory_above=1)
    before = batches(gatherer)
    client = await connect(gatherer)
    jobs = [await client.post_job(seed=seed, num_images=2) for seed in (1, 2)]
    ended = await asyncio.gather(*map(client.end, jobs))
    assert [job["state"] for job in ended] == ["succeeded", "succeeded"]
    assert [[row["seed"] for row in job["outputs"]] for job in ended] == [[1, 2], [2, 3]]
    assert batches(gatherer) == (before[0] + 4, before[1] + 4)


async def test_a_job_that_is_alone_beyond_memory_fails_and_says_so(gatherer, connect):
    gatherer.faults(out_of_memory_above=0, prompt="whale")
    client = await connect(gatherer)
    large, small = await client.post_job("a whale"), await client.post_job("a fox")
    failed = await client.end(large)
    assert (failed["state"], failed["error"]["code"]) == ("failed", "out_of_memory")
    assert (await client.end(small))["state"] == "succeeded"
    assert (await client.generate("a whale")).status_code == 500


async def test_a_picture_too_large_for_memory_is_the_requests_fault_and_names_a_size_that_was_drawn(gatherer, connect):
    gatherer.faults(out_of_memory_above=0, prompt="whale")
    client = await connect(gatherer)
    failed = await client.end(await client.post_job("a whale", width=1024, height=512))
    assert (failed["state"], failed["error"]["code"]) == ("failed", "refused")
    answer = await client.generate("a whale", width=1024, height=512)
    assert answer.status_code == 422
    assert "512 x 512 pixels" in answer.json()["detail"][0]["problem"]


async def test_the_next_prompt_is_encoded_beside_the_drawing(painter, client):
    painter.faults(encode_seconds=0.3)
    jobs = [await client.post_job(width=width, num_inference_steps=20) for width in (64, 128, 192, 256)]
    started = time.monotonic()
    ended = await asyncio.gather(*map(client.end, jobs))
    painter.faults()
    encoding = sum(job["timings_s"]["encode"] for job in ended)
    drawing = sum(job["timings_s"]["denoise"] + job["timings_s"]["decode"] for job in ended)
    assert encoding >= 4 * 0.3
    assert time.monotonic() - started < drawing + encoding - 2 * 0.3
