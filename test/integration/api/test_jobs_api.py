"""API v1's jobs, from submission to the end, by both shells."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from contract.ids import new_job_id
from contract.queues import Priority
from jobs import commands, requests
from jobs.job import Progress
from local.api_key import API_KEY_ID
from test.kit.door import KEYS
from test.kit.tasks import TASKTYPES, content_of


def test_a_job_is_answered_at_once_and_shown_from_its_place_in_the_queue_to_its_pictures(kit, shell, make_api):
    with kit.rig("sdwebui") as rig:
        api = make_api(rig, shell)
        asked = api.body(id="cat-7", context={"order": [1]}, prefix="ours")
        response = api.call("POST", "/jobs", asked)
        job = response.json()
        assert (response.status_code, response.headers["location"]) == (202, job["links"]["self"])
        assert (job["state"], job["task_id"], job["context"], job["images"]) == ("queued", "cat-7", {"order": [1]}, [])
        assert api.get(job["links"]["self"])["queue"] == {"position": 0, "eta_s": None}
        assert api.get(f"/jobs/{api.submit()['job']}")["queue"]["position"] == 1
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(api.wait, job["job"])
            rig.add_pod().start()
            done = waiting.result()
        assert (done["state"], done["error"], done["queue"], done["attempts"]) == ("succeeded", None, None, 1)
        assert done["version"] > job["version"]
        assert done["created_at"] <= done["started_at"] <= done["ended_at"]
        assert done["timings"]["run_s"] > 0
        (image,) = done["images"]
        assert image["s3"].startswith(f"s3://{rig.bucket}/ours/cat-7/cat-7-")
        request = api.get(done["links"]["request"])
        assert {key: request[key] for key in asked} == asked


def test_a_caller_who_prefers_to_wait_is_answered_with_the_pictures(kit, shell, make_api):
    with kit.rig("sdwebui") as rig:
        rig.add_pod().start()
        api = make_api(rig, shell)
        response = api.call("POST", "/jobs", api.body(), prefer="respond-async, wait=20")
        assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=20")
        assert response.json()["state"] == "succeeded"


def test_nobody_waits_longer_than_ten_minutes(api):
    headers = {"idempotency_key": "once"}
    job = api.submit(headers=headers)["job"]
    api.call("POST", f"/jobs/{job}/cancel")
    response = api.call("POST", "/jobs", api.body(), prefer="wait=9999", **headers)
    assert (response.status_code, response.headers["preference-applied"]) == (200, "wait=600")


def test_a_waiter_is_answered_when_the_version_changes_and_by_304_where_nothing_has(api):
    job = api.submit()["job"]
    first = api.call("GET", f"/jobs/{job}")
    etag = first.headers["etag"]
    assert api.call("GET", f"/jobs/{job}", if_none_match=etag).status_code == 304
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.get, f"/jobs/{job}?wait=20&since={first.json()['version']}")
        api.rig.claim(api.rig.task(job=job))
        assert waiting.result()["state"] == "running"


def test_a_job_is_seen_and_touched_by_its_own_tenant_and_by_an_admin_alone(api):
    job = api.submit()["job"]
    calls = [
        ("GET", f"/jobs/{job}", None),
        ("GET", f"/jobs/{job}/request", None),
        ("GET", f"/jobs/{job}/events", None),
        ("POST", f"/jobs/{job}/cancel", {}),
        ("POST", f"/jobs/{job}/retry", {}),
    ]
    for method, path, body in calls:
        answers = [api.call(method, path, body, key="other-key"), api.call(method, f"/jobs/{new_job_id()}", body)]
        assert {answer.status_code for answer in answers} <= {404, 405}, path
        assert api.call(method, path, body, key="no-key").status_code == 401
    assert api.get("/jobs", key="other-key")["jobs"] == []
    assert api.call("GET", "/jobs?tenant=local0key0", key="other-key").status_code == 403
    assert [one["job"] for one in api.get("/jobs?tenant=local0key0", key="admin-key")["jobs"]] == [job]
    assert api.get(f"/jobs/{job}", key="admin-key")["state"] == "queued"


def test_an_admin_lists_the_jobs_of_all_keys_page_by_page_and_nobody_else_does(api):
    keys = ["key", "other-key", "admin-key", "key", "key", "other-key"]
    jobs = [api.submit(key=key)["job"] for key in keys]
    listed, pages, cursor = [], 0, ""
    while pages == 0 or cursor:
        page = api.get(f"/jobs?tenant=*&limit=2&state=queued{cursor}", key="admin-key")
        listed += [(job["job"], job["tenant"]) for job in page["jobs"]]
        pages, cursor = pages + 1, page["next"] and f"&cursor={page['next']}"
    assert [job for job, _ in listed] == jobs[::-1]
    assert [tenant for _, tenant in listed] == [KEYS[key] for key in reversed(keys)]
    assert api.call("GET", "/jobs?tenant=*").status_code == 403
    admin, user = api.get("/key", key="admin-key"), api.get("/key", key="daily")
    assert (admin["role"], {one["id"] for one in admin["keys"]}) == ("admin", {*KEYS.values(), "daily", "waiting"})
    assert user == {"id": "daily", "role": "user", "jobs_per_day": 3, "queued_jobs": None, "keys": []}


def test_jobs_are_listed_by_page_state_task_and_time(api):
    jobs = [api.submit(id=f"t-{number}")["job"] for number in range(5)]
    middle = api.get(f"/jobs/{jobs[2]}")["created_at"]
    api.call("POST", f"/jobs/{jobs[4]}/cancel", {})
    first = api.get("/jobs?limit=2")
    second = api.get(f"/jobs?limit=2&cursor={first['next']}")
    third = api.get(f"/jobs?limit=2&cursor={second['next']}")
    listed = [one["job"] for page in (first, second, third) for one in page["jobs"]]
    assert (listed, third["next"]) == (jobs[::-1], None)
    for query, expected in (
        ("state=cancelled", jobs[4:]),
        ("state=queued,accepted&limit=3", jobs[3:0:-1]),
        ("task_id=t-1", jobs[1:2]),
        ("runtime=none", []),
        (f"created_after={middle.replace('+', '%2B')}", jobs[:1:-1]),
    ):
        assert [one["job"] for one in api.get(f"/jobs?{query}")["jobs"]] == expected, query


def test_a_waiting_job_is_cancelled_at_once_with_its_notice_and_an_ended_one_not_at_all(api):
    job = api.submit(id="unwanted")["job"]
    response = api.call("POST", f"/jobs/{job}/cancel", {})
    assert (response.status_code, response.json()["state"]) == (202, "cancelled")
    notice = api.rig.notice("unwanted")
    assert (notice["status"], notice["error"]["code"]) == ("cancelled", "cancelled")
    assert api.call("POST", f"/jobs/{job}/cancel", {}).status_code == 202
    task = api.rig.task(job=api.submit()["job"])
    api.rig.claim(task)
    api.rig.update(commands.complete(task.metadata.job, "token", "succeeded", now_s=time.time(), attempts=1))
    refusal = api.call("POST", f"/jobs/{task.metadata.job}/cancel", {})
    assert (refusal.status_code, refusal.json()["code"]) == (409, "wrong_state")


def test_a_job_that_has_ended_is_repeated_with_changes(api):
    asked = api.body(id="again", context="mine")
    asked["content"]["alwayson_scripts"] = {"a": {"args": [1]}, "b": {}}
    job = api.call("POST", "/jobs", asked).json()["job"]
    assert api.call("POST", f"/jobs/{job}/retry", {}).status_code == 409
    api.call("POST", f"/jobs/{job}/cancel", {})
    changes = {"content": {"seed": 9, "alwayson_scripts": {"b": None}}}
    repeated = api.call("POST", f"/jobs/{job}/retry", changes).json()
    assert (repeated["task_id"], repeated["context"], repeated["retry_of"]) == ("again", "mine", job)
    content = api.get(repeated["links"]["request"])["content"]
    assert content == {**asked["content"], "seed": 9, "alwayson_scripts": {"a": {"args": [1]}}}
    refusal = api.call("POST", f"/jobs/{job}/retry", {"content": {"steps": "many"}})
    assert [one["pointer"] for one in refusal.json()["errors"]] == ["#/content/steps"]


@pytest.mark.parametrize(("added", "status"), [(["x" * 3_000_000], 413), ([0] * 60_000, 400), (["x"], 202)])
def test_a_job_does_not_grow_beyond_what_can_be_sent_by_being_repeated(api, added, status):
    asked = api.body()
    asked["content"]["alwayson_scripts"] = {"a": {"args": added}}
    job = api.call("POST", "/jobs", asked).json()["job"]
    for number in range(3):
        api.call("POST", f"/jobs/{job}/cancel")
        changes = {"content": {"alwayson_scripts": {f"a{number}": {"args": added}}}}
        answer = api.call("POST", f"/jobs/{job}/retry", changes)
        job = answer.json().get("job", job)
    assert answer.status_code == status


def test_events_tell_the_state_the_queue_the_progress_and_the_end_and_resume_after_the_last_one_seen(api):
    job = api.submit()["job"]
    task = api.rig.task(job=job)
    kinds, seen = [], 0
    for kind, version, data in api.events(job):
        kinds.append(kind)
        if kind == "queue":
            assert data["position"] == 0
            api.rig.claim(task)
        elif kind == "state" and data["state"] == "running":
            progress = Progress(fraction=0.5, step=5, steps=10, stage="KSampler")
            renewal = {"until_s": time.time() + 60, "start_by_s": time.time() + 90, "attempts": 0}
            api.rig.update(commands.renew(job, "token", **renewal, progress=progress))
        elif kind == "progress":
            assert data == {"fraction": 0.5, "step": 5, "steps": 10, "stage": "KSampler"}
            seen = version
            ending = {"now_s": time.time(), "attempts": 1, "pictures": ["png"]}
            api.rig.update(commands.complete(job, "token", "succeeded", **ending))
    assert kinds == ["state", "queue", "state", "progress", "state", "output", "end"]
    assert [kind for kind, _, _ in api.events(job, last_event_id=str(seen))] == ["state", "output", "end"]


REFUSED = [
    ({"runtime": "nowhere"}, {"#/runtime"}),
    ({"type": None, "content": None}, {"#/type", "#/content"}),
    ({"content": {"prompt": "a", "steps": 0}, "contxt": 1, "id": "a b"}, {"#/content/steps", "#/contxt", "#/id"}),
    ({"webhook": {"url": "https://example.org", "events": ["ended"]}}, {"#/webhook", "#/webhook/events/0"}),
    ({"deadlines": {"execution_seconds": 1e9}}, {"#/deadlines/execution_seconds"}),
    ({"keep": ["all"]}, {"#/keep/0"}),
    ({"priority": "normal"}, {"#/priority"}),  # the runtime has one queue
]


@pytest.mark.parametrize(("changes", "pointers"), REFUSED)
def test_a_request_with_errors_is_refused_as_problem_details_with_all_of_them(api, changes, pointers):
    response = api.call("POST", "/jobs", api.body(**changes))
    assert (response.status_code, response.headers["content-type"]) == (400, "application/problem+json")
    problem = response.json()
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert {error["pointer"] for error in problem["errors"]} == pointers
    if len(pointers) > 1:
        assert problem["detail"] == f"The request has {len(pointers)} errors; all are listed."
    assert api.call("POST", "/jobs?dry_run=true", api.body(**changes)).status_code == 400
    assert api.rig.aws.take(api.rig.queue) == []


def test_a_job_goes_to_the_queue_of_its_priority_and_keeps_it_when_it_is_repeated(kit, shell, make_api):
    with kit.rig("sdwebui", priorities=True) as rig:
        api = make_api(rig, shell)
        assert api.get(f"/runtimes/{rig.name}")["priorities"] == ["high", "normal", "low"]
        urgent = {"priority": "urgent"}
        assert [one["pointer"] for one in api.call("POST", "/jobs", api.body(**urgent)).json()["errors"]] == [
            "#/priority"
        ]
        jobs = {
            given: api.submit(**({"priority": given} if given else {})) for given in ("low", "high", "normal", None)
        }
        assert [job["priority"] for job in jobs.values()] == ["low", "high", "normal", "normal"]
        places = [api.get(f"/jobs/{job['job']}")["queue"]["position"] for job in jobs.values()]
        assert places == [3, 0, 1, 2]
        for priority, url in rig.queues.items():
            tasks = [json.loads(json.loads(one["Body"])["Message"])["metadata"] for one in rig.aws.take(url)]
            assert [task["job"] for task in tasks] == [
                job["job"] for job in jobs.values() if job["priority"] == priority
            ]
            assert {task.get("priority", "normal") for task in tasks} == {priority.value}
        low = jobs["low"]["job"]
        assert api.get(f"/jobs/{low}/request")["priority"] == "low"
        assert "priority" not in api.get(f"/jobs/{jobs['normal']['job']}/request")
        api.call("POST", f"/jobs/{low}/cancel", {})
        again = api.call("POST", f"/jobs/{low}/retry", {}).json()
        assert (again["priority"], again["retry_of"]) == ("low", low)
        assert len(rig.aws.take(rig.queues[Priority.LOW])) == 1


def test_a_job_whose_runtime_has_no_priorities_any_more_is_repeated_without(api):
    task = api.rig.accepted(tenant=API_KEY_ID, priority="high")
    request = requests.pack(api.body()["content"])
    api.rig.update(requests.keep(task.metadata.job, time.time(), request=request))
    api.call("POST", f"/jobs/{task.metadata.job}/cancel", {})
    response = api.call("POST", f"/jobs/{task.metadata.job}/retry", {})
    assert (response.status_code, response.json()["priority"]) == (202, "normal")


def test_a_dry_run_checks_a_request_and_submits_nothing(api):
    body = api.body()
    body["content"]["promt"] = "a"
    response = api.call("POST", "/jobs?dry_run=true", body)
    assert (response.status_code, response.json()["valid"]) == (200, True)
    assert [one["pointer"] for one in response.json()["warnings"]] == ["content.promt"]
    assert api.get("/jobs")["jobs"] == []


def test_a_repeated_request_with_a_key_is_answered_with_the_job_of_the_first(api):
    answers = [api.submit(headers={"idempotency_key": "once"}) for _ in range(2)]
    assert answers[0]["job"] == answers[1]["job"]
    refusal = api.call("POST", "/jobs", api.body(id="other"), idempotency_key="once")
    assert (refusal.status_code, refusal.json()["code"]) == (409, "idempotency_conflict")


def test_v1alpha2_answers_as_before_behind_each_shell(api):
    answer = api.door.post("t-1", content_of("sdwebui"), {"tasktype": TASKTYPES["sdwebui"]})
    assert set(answer.json()) == {"id_task", "runtime", "output_location", "job"}
    assert api.get(f"/jobs/{answer.json()['job']}")["task_id"] == "t-1"
    assert api.call("POST", f"{api.door.base}/v1alpha2", {}, key="wrong").status_code == 401
