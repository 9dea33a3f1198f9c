"""Jobs that are submitted together."""

import pytest

from jobs.schema import key_of


def submit(api, *jobs, key="key", **headers):
    return api.call("POST", "/batches", {"jobs": list(jobs)}, key=key, **headers)


def test_each_request_of_a_batch_is_accepted_or_rejected_by_itself(api):
    answer = submit(api, api.body(id="a"), api.body(id="b c"), api.body(runtime="nowhere"), 7, api.body(id="d"))
    batch = answer.json()
    assert answer.status_code == 202
    assert [one["index"] for one in batch["answers"]] == [0, 1, 2, 3, 4]
    jobs = [one["job"]["job"] for one in batch["answers"] if one["job"]]
    assert [one["job"] and one["job"]["task_id"] for one in batch["answers"]] == ["a", None, None, None, "d"]
    problems = [one["problem"] for one in batch["answers"][1:4]]
    assert [one["status"] for one in problems] == [400] * 3
    assert [[error["pointer"] for error in one["errors"]] for one in problems] == [["#/id"], ["#/runtime"], ["#"]]
    api.call("POST", f"/jobs/{jobs[0]}/cancel", {})
    shown = api.get(answer.headers["location"])
    assert shown["states"] == {"cancelled": 1, "queued": 1}
    assert [(one["index"], one["job"], one["state"]) for one in shown["jobs"]] == [
        (0, jobs[0], "cancelled"),
        (4, jobs[1], "queued"),
    ]
    assert {one["job"] for one in api.get("/jobs")["jobs"]} == set(jobs)
    assert len(api.rig.aws.take(api.rig.queue, wait_s=5)) == 2


def test_a_batch_that_is_sent_again_with_its_key_joins_its_jobs(api):
    requests = [api.body(id=f"t-{number}") for number in range(12)]
    first, second = (submit(api, *requests, idempotency_key="once").json() for _ in range(2))
    assert first["batch"] == second["batch"]
    assert [one["job"]["job"] for one in first["answers"]] == [one["job"]["job"] for one in second["answers"]]
    changed = submit(api, requests[0], api.body(id="x"), idempotency_key="once").json()["answers"]
    assert changed[0]["job"]["job"] == first["answers"][0]["job"]["job"]
    assert changed[1]["problem"]["code"] == "idempotency_conflict"
    assert len(api.rig.aws.take(api.rig.queue, wait_s=5)) == 12


def test_batches_are_their_tenants_and_an_admins(api):
    batch = submit(api, api.body()).json()["batch"]
    assert api.call("GET", f"/batches/{batch}", key="other-key").status_code == 404
    assert api.get(f"/batches/{batch}", key="admin-key")["states"] == {"queued": 1}
    assert api.call("GET", f"/batches/{batch}", key=None).status_code == 401
    for odd in ("x", "%2e%2e", "\u732b", batch + "0"):
        assert api.call("GET", f"/batches/{odd}").status_code == 404


def test_a_batch_without_an_accepted_request_is_none(api):
    batch = submit(api, {}, []).json()
    assert (batch["batch"], [one["problem"]["status"] for one in batch["answers"]]) == (None, [400, 400])


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, {"#/jobs"}),
        ({"jobs": []}, {"#/jobs"}),
        ({"jobs": {}, "job": 1}, {"#/jobs", "#/job"}),
        ({"jobs": [{}] * 101}, {"#/jobs"}),
        ([], {"#/jobs"}),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(api, body, pointers):
    answer = api.call("POST", "/batches", body)
    assert (answer.status_code, {one["pointer"] for one in answer.json()["errors"]}) == (400, pointers)


def test_a_batch_outlives_the_jobs_that_the_table_has_deleted(api):
    answer = submit(api, api.body()).json()
    (job,) = (one["job"]["job"] for one in answer["answers"])
    api.rig.aws.dynamodb.delete_item(TableName=api.rig.store.table, Key=key_of(job))
    shown = api.get(f"/batches/{answer['batch']}")
    assert (shown["states"], shown["jobs"]) == ({}, [{"index": 0, "job": job, "state": None}])


def test_a_budget_ends_a_batch_where_it_is_used_up(api):
    for key, most in (("daily", 3), ("waiting", 2)):
        answers = submit(api, *[api.body()] * 5, key=key).json()["answers"]
        assert [one["index"] for one in answers if one["job"]] == list(range(most))
        assert {one["problem"]["code"] for one in answers if one["problem"]} == {"over_budget"}
