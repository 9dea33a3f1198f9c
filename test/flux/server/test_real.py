"""The server with the real pipeline and tiny models of the real classes. Skipped where torch is not installed."""

import asyncio
import os
import signal

import pytest
from PIL import ImageChops

OPTIONS = {"profile": None, "source": "flux", "dtype": "float32"}
ENVIRONMENT = {"PIPELINE": "runtimes.flux.server.pipeline.loading:load", "OMP_NUM_THREADS": 1}
MAX_DIFFERENCE = 2


@pytest.fixture(scope="module")
def flux(tiny_models, shared):
    """A server of a tiny model; a start takes long where the machine is slow."""
    with shared({**ENVIRONMENT, "MODELS_FOLDER": tiny_models}, **OPTIONS, batchWaitSeconds=0.5) as server:
        yield server


async def test_a_picture_in_a_batch_is_the_one_it_is_alone(flux, connect, opened):
    client = await connect(flux)
    alone = (await client.generate(seed=3)).json()
    assert alone["parameters"]["num_inference_steps"] == 28
    answers = await asyncio.gather(*(client.generate(seed=seed) for seed in (1, 2, 3)))
    together = [opened(answer.json()["image"]) for answer in answers]
    assert flux.metrics()["flux_batch_pictures_sum"] == 4
    assert flux.metrics()["flux_batch_pictures_count"] == 2
    difference = ImageChops.difference(opened(alone["image"]), together[2])
    assert max(high for _, high in difference.getextrema()) <= MAX_DIFFERENCE
    assert ImageChops.difference(together[0], together[1]).getbbox() is not None


async def test_a_prompt_that_is_cut_is_told(flux, connect):
    client = await connect(flux)
    answer = (await client.generate(prompt="a fox " * 300, num_inference_steps=1, max_sequence_length=32)).json()
    [warning] = answer["warnings"]
    assert warning.startswith("prompt is cut: it has ")
    assert "this model reads 32, up to" in warning


async def test_a_running_job_stops_at_its_next_step(flux, connect):
    client = await connect(flux)
    job_id = await client.post_job(num_inference_steps=200)
    await client.until(job_id, "progress")
    assert await client.delete(job_id) == 204
    assert (await client.generate(num_inference_steps=1)).status_code == 200
    assert (await client.job(job_id))["progress"] < 1


async def test_a_job_whose_worker_is_killed_is_drawn_by_the_next_one(flux, connect):
    client = await connect(flux)
    job_id = await client.post_job(num_inference_steps=50)
    await client.until(job_id, "progress")
    os.kill(flux.workers()[0], signal.SIGKILL)
    assert (await client.end(job_id))["state"] == "succeeded"
