"""Jobs that are posted, followed, fetched, withdrawn and stopped."""

import asyncio
import uuid

import httpx
import pytest

LONG = {"num_inference_steps": 200}
LONG_S = LONG["num_inference_steps"] * 0.02
"""What the pipeline that paints takes for them at least."""


async def test_a_posted_job_is_followed_to_its_end_and_fetched(client, opened):
    job_id = await client.post_job(num_images=2)
    ended = await client.end(job_id)
    assert ended["state"] == "succeeded"
    assert [(row["number"], row["kind"], row["seed"]) for row in ended["outputs"]] == [
        (1, "picture", 7),
        (2, "picture", 8),
    ]
    for row in ended["outputs"]:
        output = await client.http.get(f"/jobs/{job_id}/outputs/{row['number']}")
        assert output.headers["content-type"] == row["content_type"] == "image/png"
        assert len(output.content) == row["bytes"]
        assert opened(output.content).size == (64, 64)


async def test_the_same_job_id_again_is_the_same_job(client):
    body = {"job_id": str(uuid.uuid4()), "task_type": "text-to-image", "request": {"prompt": "a fox", "width": 64}}
    answers = await asyncio.gather(*(client.http.post("/jobs", json=body) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert {answer.json()["job_id"] for answer in answers} == {body["job_id"]}
    await client.end(body["job_id"])
    assert (await client.http.post("/jobs", json=body)).json() == {"job_id": body["job_id"], "state": "succeeded"}


async def test_events_tell_the_state_then_each_step_then_the_pictures(client):
    before = await client.post_job(num_inference_steps=20)
    job_id = await client.post_job(num_inference_steps=5)
    events = [event async for event in client.events(job_id)]
    kinds = [kind for kind, _ in events]
    assert [content["state"] for kind, content in events if kind == "state"] == ["waiting", "running", "encoding"]
    assert [content["progress"] for kind, content in events if kind == "progress"] == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert kinds.index("freed") > max(at for at, kind in enumerate(kinds) if kind == "progress")
    assert kinds.index("freed") < kinds.index("output")
    assert kinds[-1] == "end"
    assert kinds.count("output") == kinds.count("end") == kinds.count("freed") == 1
    assert (await client.job(before))["state"] == "succeeded"


async def test_events_of_an_ended_job_are_its_state_and_the_end(client):
    job_id = await client.post_job()
    await client.end(job_id)
    assert [kind async for kind, _ in client.events(job_id)] == ["state", "end"]


async def test_an_early_look_is_an_output_before_the_picture(editor, connect, picture):
    client = await connect(editor)
    request = {"instructions": "make it blue", "image": picture(), "size": 64, "preview": True}
    body = {"task_type": "edit", "request": request}
    job_id = (await client.http.post("/jobs", json=body)).json()["job_id"]
    outputs = [content async for kind, content in client.events(job_id) if kind == "output"]
    assert [(row["number"], row["kind"]) for row in outputs] == [(0, "preview"), (1, "picture")]
    assert outputs[0]["seed"] == outputs[1]["seed"]


async def test_waiting_jobs_know_their_place(client):
    running = await client.post_job(**LONG)
    await client.until(running, "state", "running")
    first, second = await client.post_job(width=128), await client.post_job(width=192)
    places = [(await client.job(job_id))["position"] for job_id in (running, first, second)]
    await asyncio.gather(*map(client.delete, (running, first, second)))
    assert places == [None, 1, 2]


async def test_a_waiting_job_is_withdrawn_before_it_costs_a_step(client):
    running = await client.post_job(num_inference_steps=50)
    waiting = await client.post_job(width=128)
    assert await client.delete(waiting) == 204
    withdrawn = await client.job(waiting)
    assert (withdrawn["state"], withdrawn["error"]["code"]) == ("cancelled", "cancelled")
    await client.end(running)
    assert (await client.job(waiting))["progress"] == 0


async def test_a_running_job_stops_at_its_next_step(client):
    running = await client.post_job(**LONG)
    await client.until(running, "progress")
    assert await client.delete(running) == 204
    assert (await client.job(running))["state"] == "cancelled"
    assert (await client.generate(width=128, num_inference_steps=1)).status_code == 200
    assert (await client.job(running))["progress"] < 1


async def test_an_ended_job_is_forgotten_when_it_is_deleted(client):
    job_id = await client.post_job()
    await client.end(job_id)
    assert await client.delete(job_id) == 204
    assert await client.delete(job_id) == 404


@pytest.mark.parametrize("path", ["", "/events", "/outputs/1"])
async def test_unknown_jobs_are_not_found(client, path):
    assert (await client.http.get(f"/jobs/{uuid.uuid4()}{path}")).status_code == 404


async def test_an_output_that_is_not_there_is_not_found(client):
    job_id = await client.post_job()
    await client.end(job_id)
    assert (await client.http.get(f"/jobs/{job_id}/outputs/2")).status_code == 404


async def test_jobs_are_listed_by_state(client):
    running = await client.post_job(**LONG)
    await client.until(running, "state", "running")
    waiting = [await client.post_job(width=128), await client.post_job(width=192)]
    listed = (await client.http.get("/jobs")).json()
    await asyncio.gather(*map(client.delete, (running, *waiting)))
    assert listed["running"] == [running]
    assert listed["waiting"] == waiting


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"task_type", "request"}),
        ({"task_type": "dance", "request": {}}, {"task_type"}),
        ({"job_id": "7", "task_type": "text-to-image", "request": {}}, {"job_id"}),
        ({"task_type": "text-to-image", "request": {"steps": 4}}, {"request.prompt", "request.steps"}),
    ],
)
async def test_faults_of_a_posted_job_stand_where_they_are(client, body, fields):
    answer = await client.http.post("/jobs", json=body)
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.json()["detail"]} == fields


async def test_a_path_without_a_uuid_is_a_fault_in_the_same_shape(client):
    answer = await client.http.get("/jobs/7")
    assert answer.status_code == 422
    assert [set(fault) for fault in answer.json()["detail"]] == [{"field", "problem"}]


async def test_a_caller_who_hangs_up_has_his_job_stopped(client):
    job_id = str(uuid.uuid4())
    with pytest.raises(httpx.ReadTimeout):
        await client.http.post("/generate", json={"prompt": "a fox", "job_id": job_id, **LONG}, timeout=0.3)
    answer = await client.generate(width=128)
    assert answer.json()["timings_s"]["queue"] < LONG_S / 2
    assert (await client.http.get(f"/jobs/{job_id}")).status_code == 404


async def test_a_caller_whose_job_is_cancelled_is_told(client):
    job_id = str(uuid.uuid4())
    answer = asyncio.create_task(client.generate(job_id=job_id, **LONG))
    while await client.delete(job_id) == 404:  # noqa: ASYNC110 (over HTTP there is nothing to wait for)
        await asyncio.sleep(0.02)
    assert (await answer).status_code == 409


async def test_after_the_deadline_the_caller_gets_504_and_the_device_is_free(serve, connect):
    server = serve(requestSeconds=0.5)
    client = await connect(server)
    answer = await client.generate(**LONG)
    assert answer.status_code == 504
    assert "0.5 s" in answer.json()["detail"]
    next_one = await client.generate(width=128, num_inference_steps=1)
    assert next_one.json()["timings_s"]["queue"] < LONG_S / 2
    assert server.metrics()['flux_jobs_total{outcome="deadline",task_type="text-to-image"}'] == 1
    assert server.health()["workers"][0]["running"] == []
