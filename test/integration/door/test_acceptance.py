"""A task answered with 200 is in the table and on its way, whatever failed beside it."""

import json
import logging

import pytest

from jobs.commands import LOST_MESSAGE_S
from jobs.job import JobState
from test.integration.door.bodies import LARGE, TASK


def test_a_job_is_entered_then_published_then_queued(platform):
    door = platform.door()
    status, answer = door.post(TASK)
    assert status == 200
    first, *together, last = door.wire.calls
    assert (first, sorted(together), last) == ("PutItem", ["Publish", "PutItem"], "UpdateItem")
    assert (platform.job.id, platform.job.state) == (json.loads(answer)["job"], JobState.QUEUED)
    assert platform.published_jobs() == [platform.job.id]


def test_large_content_is_stored_before_the_job_is_entered(platform):
    door = platform.door()
    door.post(LARGE)
    assert door.wire.calls[:2] == ["PutObject", "PutItem"]
    (envelope,) = platform.messages()
    url = json.loads(envelope["Message"])["content_url"]
    assert json.loads(platform.read(url)) == LARGE["task"]["content"]


@pytest.mark.parametrize("variable", ["JOBS_TABLE", "OUTPUT_BUCKET", "TASK_TOPIC_ARN"])
def test_a_door_that_lacks_a_variable_does_not_load_and_names_it(platform, variable):
    with pytest.raises(RuntimeError, match=variable):
        platform.door(**{variable: ""})


TROUBLES = [
    # What goes wrong at which call, the answer, the state of the job then, how often it is published, what is logged.
    ({"PutObject": "cut"}, 503, None, 0, ""),
    ({"PutItem": "cut"}, 503, None, 0, ""),
    ({"PutItem": "lose one answer"}, 200, JobState.QUEUED, 1, ""),
    ({"Publish": "cut"}, 503, None, 0, ""),
    ({"Publish": "cut", "DeleteItem": "cut"}, 503, JobState.ACCEPTED, 0, "not withdrawn: job"),
    ({"Publish": "lose answers", "DeleteItem": "an agent is faster"}, 503, JobState.RUNNING, None, ""),
    ({"UpdateItem": "cut"}, 200, JobState.ACCEPTED, 1, "not marked as published"),
    ({"UpdateItem": "lose answers"}, 200, JobState.QUEUED, 1, ""),
    ({"UpdateItem": "an agent is faster"}, 200, JobState.RUNNING, 1, None),
]


@pytest.mark.parametrize(("troubles", "status", "outcome"), [(*row[:2], row[2:]) for row in TROUBLES])
def test_a_task_is_answered_200_exactly_if_it_is_on_its_way_for_certain_and_else_withdrawn_or_left_to_the_keeper(
    platform, caplog, troubles, status, outcome
):
    state, published, logged = outcome
    door = platform.door()
    for operation, trouble in troubles.items():
        match trouble:
            case "cut":
                door.wire.cut(operation)
            case "an agent is faster":
                door.wire.meanwhile(operation, platform.claim_job)
            case _:
                door.wire.lose_answers(operation, times=1 if "one" in trouble else 100)
    response = door.respond(LARGE)
    assert response["statusCode"] == status
    assert (response["headers"].get("Retry-After") == "1") is (status == 503)
    assert [job.state for job in platform.jobs] == ([state] if state else [])
    assert published in (len(platform.published_jobs()), None)
    assert logged is not None or not [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert (logged or "") in caplog.text


@pytest.mark.parametrize(
    ("runtime", "deadlines", "start_s"),
    [("sdruntime", None, 86400), ("comfy", None, 600), ("comfy", {"start_seconds": 30}, 30)],
)
def test_a_queued_job_is_due_at_its_start_deadline_or_when_its_message_may_be_lost_and_its_own_deadlines_travel_with_it(
    platform, runtime, deadlines, start_s
):
    tasktype = "pipeline" if runtime == "comfy" else "text-to-image"
    metadata = {"id": "a", "runtime": runtime, "tasktype": tasktype, "deadlines": deadlines}
    content = {"1": {"class_type": "A", "inputs": {}}} if runtime == "comfy" else {}
    assert platform.door().post({"task": {"metadata": metadata, "content": content}})[0] == 200
    job = platform.job
    assert job.start_by_s - job.created_s == pytest.approx(start_s, abs=0.01)
    assert job.due_s - job.created_s == pytest.approx(min(start_s, LOST_MESSAGE_S), abs=5)
    (envelope,) = platform.messages()
    sent = json.loads(envelope["Message"])["metadata"].get("deadlines")
    assert sent == (deadlines and {**sent, **deadlines})
