"""A task answered with 200 is in the table and on its way, whatever failed beside it."""

import json
import logging

import pytest

from jobs.job import JobState
from test.integration.door.bodies import LARGE, TASK


def refused_for_now(response):
    return response["statusCode"] == 503 and response["headers"]["Retry-After"] == "1"


def test_a_job_is_entered_then_published_then_queued(platform):
    door = platform.door()
    status, answer = door.post(TASK)
    assert status == 200
    assert door.wire.calls == ["PutItem", "Publish", "UpdateItem"]
    assert (platform.job.id, platform.job.state) == (json.loads(answer)["job"], JobState.QUEUED)
    assert platform.published_jobs() == [platform.job.id]


def test_large_content_is_stored_before_the_job_is_entered(platform):
    door = platform.door()
    door.post(LARGE)
    assert door.wire.calls == ["PutObject", "PutItem", "Publish", "UpdateItem"]
    (envelope,) = platform.messages()
    url = json.loads(envelope["Message"])["content_url"]
    assert json.loads(platform.read(url)) == LARGE["task"]["content"]


@pytest.mark.parametrize("variable", ["JOBS_TABLE", "OUTPUT_BUCKET", "TASK_TOPIC_ARN"])
def test_a_door_that_lacks_a_variable_does_not_load_and_names_it(platform, variable):
    with pytest.raises(RuntimeError, match=variable):
        platform.door(**{variable: ""})


@pytest.mark.parametrize("operation", ["PutObject", "PutItem"])
def test_what_fails_before_the_publication_is_answered_503_and_nothing_is_published(platform, operation):
    door = platform.door()
    door.wire.cut(operation)
    assert refused_for_now(door.respond(LARGE))
    assert platform.published_jobs() == platform.jobs == []


def test_a_job_that_was_entered_although_the_answer_was_lost_is_published(platform):
    door = platform.door()
    door.wire.lose_answers("PutItem", times=1)
    assert door.post(TASK)[0] == 200
    assert platform.published_jobs() == [platform.job.id]


def test_a_job_that_cannot_be_published_is_withdrawn(platform):
    door = platform.door()
    door.wire.cut("Publish")
    assert refused_for_now(door.respond(TASK))
    assert platform.jobs == []


def test_a_job_that_can_neither_be_published_nor_withdrawn_is_answered_503_and_logged(platform, caplog):
    door = platform.door()
    door.wire.cut("Publish")
    door.wire.cut("DeleteItem")
    assert refused_for_now(door.respond(TASK))
    assert platform.job.state is JobState.ACCEPTED
    assert f"not withdrawn: job {platform.job.id}" in caplog.text


def test_a_job_that_an_agent_got_although_its_publication_seemed_to_fail_is_not_withdrawn(platform):
    door = platform.door()
    door.wire.lose_answers("Publish")
    door.wire.meanwhile("DeleteItem", platform.claim_job)
    assert refused_for_now(door.respond(TASK))
    assert platform.job.state is JobState.RUNNING


@pytest.mark.parametrize("answers", ["cut", "lose_answers"])
def test_a_published_job_that_cannot_be_marked_is_answered_200_and_logged(platform, caplog, answers):
    door = platform.door()
    getattr(door.wire, answers)("UpdateItem")
    status, answer = door.post(TASK)
    assert status == 200
    assert platform.published_jobs() == [json.loads(answer)["job"]]
    assert answers == "lose_answers" or "not marked as published" in caplog.text


def test_an_agent_that_is_faster_than_the_door_keeps_its_job_and_nobody_is_warned(platform, caplog):
    door = platform.door()
    door.wire.meanwhile("UpdateItem", platform.claim_job)
    assert door.post(TASK)[0] == 200
    assert platform.job.state is JobState.RUNNING
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("runtime", "deadlines", "start_s"),
    [("sdruntime", None, 86400), ("comfy", None, 600), ("comfy", {"start_seconds": 30}, 30)],
)
def test_a_queued_job_is_due_at_its_start_deadline_and_its_own_deadlines_travel_with_it(
    platform, runtime, deadlines, start_s
):
    tasktype = "pipeline" if runtime == "comfy" else "text-to-image"
    metadata = {"id": "a", "runtime": runtime, "tasktype": tasktype, "deadlines": deadlines}
    content = {"1": {"class_type": "A", "inputs": {}}} if runtime == "comfy" else {}
    assert platform.door().post({"task": {"metadata": metadata, "content": content}})[0] == 200
    assert platform.job.due_s - platform.job.created_s == pytest.approx(start_s, abs=0.01)
    (envelope,) = platform.messages()
    sent = json.loads(envelope["Message"])["metadata"].get("deadlines")
    assert sent == (deadlines and {**sent, **deadlines})
