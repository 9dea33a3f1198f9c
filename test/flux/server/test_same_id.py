"""Requests that come under the id of a job that is here already."""

import asyncio
import uuid

import httpx
import pytest

LONG = {"num_inference_steps": 200}
GENERATION = {"prompt": "a fox", "seed": 7, "width": 64, "height": 64}
CALLS = ["/generate", "/generate_view"]


@pytest.fixture
async def posted(client):
    """Posts a job for later under an id; gives its id."""

    async def post(**values: object) -> str:
        job_id = str(uuid.uuid4())
        assert (await post_again(client, job_id, **values)).status_code == 202
        return job_id

    return post


async def post_again(client, job_id: str, **values: object) -> httpx.Response:
    body = {"job_id": job_id, "task_type": "text-to-image", "request": {**GENERATION, **values}}
    return await client.http.post("/jobs", json=body)


async def call(client, job_id: str, path: str = "/generate", **values: object) -> httpx.Response:
    return await client.http.post(path, json={**GENERATION, **values, "job_id": job_id})


async def test_a_call_with_a_posted_jobs_request_gets_its_pictures_and_leaves_it_to_be_fetched(client, posted, opened):
    job_id = await posted()
    answer = await call(client, job_id)
    assert (answer.status_code, answer.json()["job_id"]) == (200, job_id)
    assert opened(answer.json()["image"]).size == (64, 64)
    assert (await client.job(job_id))["state"] == "succeeded"


@pytest.mark.parametrize("path", CALLS)
async def test_a_call_with_another_request_than_the_posted_jobs_is_refused_in_words(client, posted, path):
    job_id = await posted()
    await client.end(job_id)
    answer = await call(client, job_id, path, prompt="a cat")
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/json")
    assert "its request is another one" in answer.json()["detail"]
    assert (await client.job(job_id))["state"] == "succeeded"


async def test_another_request_is_not_posted_under_the_id_of_a_job(client, posted):
    job_id = await posted(**LONG)
    answer = await post_again(client, job_id, prompt="a cat", **LONG)
    job = await client.job(job_id)
    await client.delete(job_id)
    assert (answer.status_code, job["parameters"]["prompt"]) == (409, "a fox")
    assert "its request is another one" in answer.json()["detail"]


async def test_the_same_words_for_another_task_are_another_request(client, posted):
    job_id = await posted()
    body = {"job_id": job_id, "task_type": "image-to-image", "request": GENERATION}
    assert (await client.http.post("/jobs", json=body)).status_code == 409


async def test_two_calls_of_one_request_get_the_same_pictures(client):
    job_id = str(uuid.uuid4())
    answers = await asyncio.gather(*(call(client, job_id, seed=-1) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["image"] == answers[1].json()["image"]
    assert (await client.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_caller_who_hangs_up_does_not_stop_a_job_that_another_call_began(client, posted):
    job_id = await posted(num_inference_steps=40)
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post(
            "/generate", json={**GENERATION, "num_inference_steps": 40, "job_id": job_id}, timeout=0.2
        )
    assert (await client.end(job_id))["state"] == "succeeded"


async def test_after_the_deadline_a_job_that_another_call_began_goes_on(serve, connect):
    client = await connect(serve(requestSeconds=0.3))
    job_id = str(uuid.uuid4())
    await post_again(client, job_id, num_inference_steps=40)
    answer = await call(client, job_id, num_inference_steps=40)
    assert (answer.status_code, answer.json()["detail"]) == (504, "the job was not done after 0.3 s, and goes on")
    assert (await client.end(job_id))["state"] == "succeeded"
