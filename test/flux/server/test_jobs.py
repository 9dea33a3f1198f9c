"""Jobs are posted, followed, fetched and cancelled; a second request can come with the id of the first."""

import asyncio

import httpx
import pytest

LONG = {"num_inference_steps": 200}
GENERATION = {"prompt": "a fox", "seed": 7, "width": 64, "height": 64}
POSTED = {"task_type": "text-to-image", "request": GENERATION}


async def test_a_posted_job_is_followed_to_its_end_and_fetched(painter, opened):
    job_id = await painter.post_job(num_images=2)
    ended = await painter.end(job_id)
    rows = [(row["number"], row["kind"], row["seed"]) for row in ended["outputs"]]
    assert (ended["state"], rows) == ("succeeded", [(1, "picture", 7), (2, "picture", 8)])
    for row in ended["outputs"]:
        output = await painter.output(job_id, row["number"])
        assert output.headers["content-type"] == row["content_type"] == "image/png"
        assert len(output.content) == row["bytes"]
        assert opened(output.content).size == (64, 64)
    assert [kind async for kind, _ in painter.events(job_id)] == ["state", "end"]
    assert (await painter.output(job_id, 3)).status_code == 404
    assert [await painter.delete(job_id) for _ in range(2)] == [204, 404], "an ended job is forgotten"


async def test_events_report_the_state_then_each_step_then_the_pictures(painter):
    await painter.post_job(num_inference_steps=20)
    job_id = await painter.post_job(num_inference_steps=5)
    events = [event async for event in painter.events(job_id)]
    kinds = [kind for kind, _ in events]
    assert [content["state"] for kind, content in events if kind == "state"] == ["waiting", "running", "encoding"]
    assert [content["progress"] for kind, content in events if kind == "progress"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert [kind for kind in kinds if kind not in {"state", "progress"}] == ["freed", "output", "end"]
    assert kinds.index("freed") > max(at for at, kind in enumerate(kinds) if kind == "progress")


async def test_waiting_jobs_are_listed_with_their_position_and_can_be_cancelled_before_any_step(painter):
    running = await painter.post_job(**LONG)
    await painter.until(running, "state", "running")
    waiting = [await painter.post_job(width=128), await painter.post_job(width=192)]
    listed = (await painter.http.get("/jobs")).json()
    assert (listed["running"], listed["waiting"]) == ([running], waiting)
    assert [(await painter.job(job_id))["position"] for job_id in (running, *waiting)] == [None, 1, 2]
    assert [await painter.delete(job_id) for job_id in (*waiting, running)] == [204] * 3
    withdrawn = await painter.job(waiting[0])
    assert (withdrawn["state"], withdrawn["error"]["code"], withdrawn["progress"]) == ("cancelled", "cancelled", 0)


async def test_a_running_job_stops_at_its_next_step(painter):
    running = await painter.post_job(**LONG)
    await painter.until(running, "progress")
    assert await painter.delete(running) == 204
    assert (await painter.generate(width=128, num_inference_steps=1)).status_code == 200
    stopped = await painter.job(running)
    assert (stopped["state"], stopped["progress"] < 1) == ("cancelled", True)


@pytest.mark.parametrize("path", ["", "/events", "/outputs/1"])
async def test_unknown_jobs_are_not_found(painter, job_id, path):
    assert (await painter.http.get(f"/jobs/{job_id}{path}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"task_type", "request"}),
        ({"task_type": "dance", "request": {}}, {"task_type"}),
        ({"job_id": "7", "task_type": "text-to-image", "request": {}}, {"job_id"}),
        ({"task_type": "text-to-image", "request": {"steps": 4}}, {"request.prompt", "request.steps"}),
    ],
)
async def test_errors_of_a_posted_job_name_their_fields(painter, body, fields):
    answers = [await painter.http.post("/jobs", json=body), await painter.http.get("/jobs/7")]
    assert [answer.status_code for answer in answers] == [422, 422]
    found = [{error["field"] for error in answer.json()["detail"]} for answer in answers]
    assert found == [fields, {"job_id"}]


async def test_a_caller_who_hangs_up_stops_only_a_job_that_this_call_started(painter, job_id):
    anothers = await painter.post_job(num_inference_steps=40)
    for values in ({"job_id": job_id, **LONG}, {"job_id": anothers, "num_inference_steps": 40}):
        with pytest.raises(httpx.ReadTimeout):
            await painter.http.post("/generate", json={**GENERATION, **values}, timeout=0.2)
    assert (await painter.end(anothers))["state"] == "succeeded"
    await painter.generate(width=128)
    assert (await painter.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_caller_whose_job_is_cancelled_gets_409(painter, job_id):
    answer = asyncio.create_task(painter.generate(job_id=job_id, **LONG))
    while await painter.delete(job_id) == 404:  # noqa: ASYNC110 (over HTTP there is nothing to wait for)
        await asyncio.sleep(0.02)
    assert (await answer).status_code == 409


async def test_after_the_deadline_a_callers_own_job_stops_and_one_from_another_call_continues(serve):
    server = serve(requestSeconds=0.3)
    answer = await server.generate(**LONG)
    assert (answer.status_code, answer.json()["detail"]) == (504, "the job was not done after 0.3 s")
    assert server.metrics()['flux_jobs_total{outcome="deadline",task_type="text-to-image"}'] == 1
    job_id = await server.post_job(num_inference_steps=40)
    answer = await server.generate(num_inference_steps=40, job_id=job_id)
    assert (answer.status_code, answer.json()["detail"]) == (504, "the job was not done after 0.3 s, and goes on")
    assert (await server.end(job_id))["state"] == "succeeded"


async def test_the_same_job_id_again_is_the_same_job(painter, job_id, opened):
    body = {"job_id": job_id, **POSTED}
    answers = await asyncio.gather(*(painter.http.post("/jobs", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert {answer.json()["job_id"] for answer in answers} == {job_id}
    assert opened((await painter.generate(job_id=job_id)).json()["image"]).size == (64, 64)
    assert (await painter.http.post("/jobs", json=body)).json() == {"job_id": job_id, "state": "succeeded"}


async def test_two_calls_at_once_with_one_id_get_the_same_pictures_which_are_not_kept(painter, job_id):
    first, second = await asyncio.gather(*(painter.generate(seed=-1, job_id=job_id) for _ in range(2)))
    assert first.json()["image"] == second.json()["image"]
    assert (await painter.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_another_request_with_the_id_of_a_job_is_rejected(painter):
    job_id = await painter.post_job(**LONG)
    other = {**GENERATION, "prompt": "a cat"}
    others = [
        ("/generate", {**other, "job_id": job_id}),
        ("/generate_view", {**other, "job_id": job_id}),
        ("/jobs", {"job_id": job_id, "task_type": "text-to-image", "request": other}),
        ("/jobs", {"job_id": job_id, "task_type": "image-to-image", "request": {**GENERATION, **LONG}}),
    ]
    answers = [await painter.http.post(path, json=body) for path, body in others]
    job = await painter.job(job_id)
    await painter.delete(job_id)
    assert [answer.status_code for answer in answers] == [409] * 4
    assert "its request is another one" in answers[0].json()["detail"]
    assert (job["state"], job["parameters"]["prompt"]) == ("running", "a fox")
