"""Jobs that wait together are drawn together, over real HTTP and in a real worker."""


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
    for seed, job_id in enumerate(jobs):
        alone = await painter.post_job(seed=seed)
        await painter.end(alone)
        assert (await painter.output(alone)).content == (await painter.output(job_id)).content


async def test_a_picture_beyond_memory_is_answered_500_and_one_larger_than_any_before_422(fragile):
    fragile.faults(out_of_memory_above=0, prompt="whale")
    answers = [await fragile.generate("a whale", width=width, height=512) for width in (64, 1024)]
    assert [answer.status_code for answer in answers] == [500, 422]
    assert "512 x 512 pixels" in answers[1].json()["detail"][0]["problem"]


async def test_the_next_prompt_is_encoded_beside_the_drawing(painter):
    painter.faults(encode_seconds=0.3)
    jobs = [await painter.post_job(width=width, num_inference_steps=20) for width in (64, 128, 192, 256)]
    times = [job["timings_s"] for job in await painter.end(*jobs)]
    drawing = sum(one["denoise"] + one["decode"] for one in times)
    assert [one["encode"] >= 0.3 for one in times] == [True] * 4
    assert times[-1]["queue"] < drawing + sum(one["encode"] for one in times) - 2 * 0.3
