"""The server with the real pipeline and tiny models of the real classes. Skipped where torch is not installed."""

import asyncio
import contextlib
import os
import signal

import pytest
from PIL import ImageChops

OPTIONS = {"profile": None, "dtype": "float32"}
ENVIRONMENT = {"PIPELINE": "runtimes.flux.pipeline.loading:load", "OMP_NUM_THREADS": 1}
MOST_DIFFERENCE = 2


@pytest.fixture(scope="module")
def real(tiny_models, shared):
    """A server of a tiny model; it takes minutes where the machine is slow."""
    with contextlib.ExitStack() as stack:

        def start(source: str, **options):
            environment = {
                "PIPELINE": "runtimes.flux.pipeline.loading:load",
                "MODELS_FOLDER": tiny_models,
                "OMP_NUM_THREADS": 1,
            }
            return stack.enter_context(shared(environment, **OPTIONS, source=source, **options))

        yield start


@pytest.fixture(scope="module")
def flux(real):
    return real("flux", batchWaitSeconds=0.5)


async def test_a_picture_in_a_batch_is_the_one_it_is_alone(flux, connect, opened):
    client = await connect(flux)
    alone = (await client.generate(seed=3)).json()
    assert alone["parameters"]["num_inference_steps"] == 28
    answers = await asyncio.gather(*(client.generate(seed=seed) for seed in (1, 2, 3)))
    together = [opened(answer.json()["image"]) for answer in answers]
    assert flux.metrics()["flux_batch_pictures_sum"] == 4
    assert flux.metrics()["flux_batch_pictures_count"] == 2
    difference = ImageChops.difference(opened(alone["image"]), together[2])
    assert max(high for _, high in difference.getextrema()) <= MOST_DIFFERENCE
    assert ImageChops.difference(together[0], together[1]).getbbox() is not None


async def test_a_running_job_stops_at_its_next_step(flux, connect):
    client = await connect(flux)
    job_id = await client.post_job(num_inference_steps=200)
    await client.until(job_id, "progress")
    assert await client.delete(job_id) == 204
    answer = await client.generate(num_inference_steps=1)
    assert answer.json()["timings_s"]["queue"] < 2


async def test_a_job_whose_worker_is_killed_is_drawn_by_the_next_one(flux, connect):
    client = await connect(flux)
    job_id = await client.post_job(num_inference_steps=50)
    await client.until(job_id, "progress")
    os.kill(flux.workers()[0], signal.SIGKILL)
    assert (await client.end(job_id))["state"] == "succeeded"


async def test_an_edit_shows_an_early_look_and_then_the_picture(real, connect, picture, opened):
    client = await connect(real("flux-kontext"))
    content = {
        "instructions": "make it blue",
        "image": picture(),
        "size": 64,
        "preview": True,
        "num_inference_steps": 4,
    }
    body = (await client.http.post("/edit", json=content)).json()
    assert opened(body["preview"]).size == opened(body["image"]).size == (64, 64)
