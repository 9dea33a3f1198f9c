"""Jobs that are posted, followed, fetched, withdrawn and stopped; and requests under the id of another one."""

import asyncio
import uuid

import httpx
import pytest

LONG = {"num_inference_steps": 200}
GENERATION = {"prompt": "a fox", "seed": 7, "width": 64, "height": 64}


async def test_a_posted_job_is_followed_to_its_end_and_fetched(client, opened):
    job_id = await client.post_job(num_images=2)
    ended = await client.end(job_id)
    assert ended["state"] == "succeeded"
    rows = [(row["number"], row["kind"], row["seed"]) for row in ended["outputs"]]
    assert rows == [(1, "picture", 7), (2, "picture", 8)]
    for row in ended["outputs"]:
        output = await client.http.get(f"/jobs/{job_id}/outputs/{row['number']}")
        assert output.headers["content-type"] == row["content_type"] == "image/png"
        assert len(output.content) == row["bytes"]
        assert opened(output.content).size == (64, 64)
    assert [kind async for kind, _ in client.events(job_id)] == ["state", "end"]
    assert (await client.http.get(f"/jobs/{job_id}/outputs/3")).status_code == 404
    assert [await client.delete(job_id) for _ in range(2)] == [204, 404], "an ended job is forgotten"


async def test_events_tell_the_state_then_each_step_then_the_pictures(client):
    await client.post_job(num_inference_steps=20)
    job_id = await client.post_job(num_inference_steps=5)
    events = [event async for event in client.events(job_id)]
    kinds = [kind for kind, _ in events]
    assert [content["state"] for kind, content in events if kind == "state"] == ["waiting", "running", "encoding"]
    assert [content["progress"] for kind, content in events if kind == "progress"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    last_step = max(at for at, kind in enumerate(kinds) if kind == "progress")
    assert last_step < kinds.index("freed") < kinds.index("output")
    assert kinds[-1] == "end"
    assert kinds.count("output") == kinds.count("end") == kinds.count("freed") == 1


async def test_a_preview_is_an_output_before_the_picture(editor, connect, picture):
    client = await connect(editor)
    request = {"instructions": "make it blue", "image": picture(), "size": 64, "preview": True}
    answer = await client.http.post("/jobs", json={"task_type": "edit", "request": request})
    outputs = [content async for kind, content in client.events(answer.json()["job_id"]) if kind == "output"]
    assert [(row["number"], row["kind"]) for row in outputs] == [(0, "preview"), (1, "picture")]
    assert outputs[0]["seed"] == outputs[1]["seed"]


async def test_waiting_jobs_are_listed_and_know_their_place_and_are_withdrawn_before_they_cost_a_step(client):
    running = await client.post_job(**LONG)
    await client.until(running, "state", "running")
    waiting = [await client.post_job(width=128), await client.post_job(width=192)]
    listed = (await client.http.get("/jobs")).json()
    assert (listed["running"], listed["waiting"]) == ([running], waiting)
    assert [(await client.job(job_id))["position"] for job_id in (running, *waiting)] == [None, 1, 2]
    assert [await client.delete(job_id) for job_id in waiting] == [204, 204]
    withdrawn = await client.job(waiting[0])
    await client.delete(running)
    assert (withdrawn["state"], withdrawn["error"]["code"], withdrawn["progress"]) == ("cancelled", "cancelled", 0)


async def test_a_running_job_stops_at_its_next_step(client):
    running = await client.post_job(**LONG)
    await client.until(running, "progress")
    assert await client.delete(running) == 204
    assert (await client.generate(width=128, num_inference_steps=1)).status_code == 200
    stopped = await client.job(running)
    assert (stopped["state"], stopped["progress"] < 1) == ("cancelled", True)


@pytest.mark.parametrize("path", ["", "/events", "/outputs/1"])
async def test_unknown_jobs_are_not_found(client, path):
    assert (await client.http.get(f"/jobs/{uuid.uuid4()}{path}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"task_type", "request"}),
        ({"task_type": "dance", "request": {}}, {"task_type"}),
        ({"job_id": "7", "task_type": "text-to-image", "request": {}}, {"job_id"}),
        ({"task_type": "text-to-image", "request": {"steps": 4}}, {"request.prompt", "request.steps"}),
    ],
)
async def test_errors_of_a_posted_job_stand_where_they_are(client, body, fields):
    answers = [await client.http.post("/jobs", json=body), await client.http.get("/jobs/7")]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert {error["field"] for error in answers[0].json()["detail"]} == fields
    assert {error["field"] for error in answers[1].json()["detail"]} == {"job_id"}


async def test_a_caller_who_hangs_up_has_his_job_stopped(client):
    job_id = str(uuid.uuid4())
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post("/generate", json={**GENERATION, "job_id": job_id, **LONG}, timeout=0.3)
    await client.generate(width=128)
    assert (await client.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_caller_whose_job_is_cancelled_is_told(client):
    job_id = str(uuid.uuid4())
    answer = asyncio.create_task(client.generate(job_id=job_id, **LONG))
    while await client.delete(job_id) == 404:  # noqa: ASYNC110 (over HTTP there is nothing to wait for)
        await asyncio.sleep(0.02)
    assert (await answer).status_code == 409


async def test_after_the_deadline_a_callers_own_job_is_stopped_and_one_that_another_call_began_goes_on(serve, connect):
    server = serve(requestSeconds=0.3)
    client = await connect(server)
    answer = await client.generate(**LONG)
    assert (answer.status_code, answer.json()["detail"]) == (504, "the job was not done after 0.3 s")
    assert server.metrics()['flux_jobs_total{outcome="deadline",task_type="text-to-image"}'] == 1
    job_id = await client.post_job(num_inference_steps=40)
    answer = await client.generate(num_inference_steps=40, job_id=job_id)
    assert (answer.status_code, answer.json()["detail"]) == (504, "the job was not done after 0.3 s, and goes on")
    assert (await client.end(job_id))["state"] == "succeeded"


async def test_the_same_job_id_again_is_the_same_job(client, opened):
    body = {"job_id": str(uuid.uuid4()), "task_type": "text-to-image", "request": GENERATION}
    answers = await asyncio.gather(*(client.http.post("/jobs", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert {answer.json()["job_id"] for answer in answers} == {body["job_id"]}
    called = await client.generate(job_id=body["job_id"])
    assert (called.status_code, opened(called.json()["image"]).size) == (200, (64, 64))
    assert (await client.http.post("/jobs", json=body)).json() == {"job_id": body["job_id"], "state": "succeeded"}


async def test_under_the_id_of_a_job_no_other_request_is_taken(client):
    job_id = await client.post_job(**LONG)
    others = [
        ("/generate", {**GENERATION, "prompt": "a cat", "job_id": job_id}),
        ("/generate_view", {**GENERATION, "prompt": "a cat", "job_id": job_id}),
        ("/jobs", {"job_id": job_id, "task_type": "text-to-image", "request": {**GENERATION, "prompt": "a cat"}}),
        ("/jobs", {"job_id": job_id, "task_type": "image-to-image", "request": {**GENERATION, **LONG}}),
    ]
    answers = [await client.http.post(path, json=body) for path, body in others]
    job = await client.job(job_id)
    await client.delete(job_id)
    assert [answer.status_code for answer in answers] == [409] * 4
    assert {answer.headers["content-type"] for answer in answers} == {"application/json"}
    assert "its request is another one" in answers[0].json()["detail"]
    assert (job["state"], job["parameters"]["prompt"]) == ("running", "a fox")


async def test_two_calls_of_one_request_get_the_same_pictures(client):
    job_id = str(uuid.uuid4())
    answers = await asyncio.gather(*(client.generate(seed=-1, job_id=job_id) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["image"] == answers[1].json()["image"]
    assert (await client.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_caller_who_hangs_up_does_not_stop_a_job_that_another_call_began(client):
    job_id = await client.post_job(num_inference_steps=40)
    request = {**GENERATION, "num_inference_steps": 40, "job_id": job_id}
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post("/generate", json=request, timeout=0.2)
    assert (await client.end(job_id))["state"] == "succeeded"
