"""One Idempotency-Key, one job: wherever the door dies, and though others send the same at the same moment."""

import json
import time
from types import SimpleNamespace

import pytest

from jobs.idempotency import IDEMPOTENCY_S
from jobs.job import JobState
from test.integration.door.bodies import LARGE, TASK
from test.kit.wire import DiedError

CALLS = ["GetItem", "PutObject", "TransactWriteItems", "PutItem", "Publish", "UpdateItem"]
"""Every call that the door makes for a large task with a key."""
SCRIPTS = {"alwayson_scripts": {"task": "text-to-image", "sd_model_checkpoint": "a", "id_task": "a"}}
CONFLICT = {"CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}]}


def after(monkeypatch, seconds):
    now_s = time.time() + seconds
    monkeypatch.setattr("api.faces.alpha.time", SimpleNamespace(time=lambda: now_s))


@pytest.mark.parametrize(("path", "body"), [("/v1alpha2", TASK), ("/v1alpha1", {**SCRIPTS, "prompt": "a unicorn"})])
def test_a_repeated_request_is_answered_word_for_word_and_published_once(platform, path, body):
    first = platform.door().post(body, key="k", path=path)
    assert first[0] == 200
    assert platform.door().post(body, key="k", path=f"{path}/") == first
    assert platform.published_jobs() == [platform.job.id]


def test_the_calls_of_a_request_with_a_key_are_those_at_which_the_door_dies_below(platform):
    door = platform.door()
    door.post(LARGE, key="k")
    assert sorted(door.wire.calls) == sorted(CALLS)


@pytest.mark.parametrize("trouble", ["die_before", "die_after", "cut", "lose_answers"])
@pytest.mark.parametrize("operation", CALLS)
def test_a_door_that_dies_or_loses_aws_at_any_call_leaves_one_job_published_once_the_request_is_repeated(
    platform, operation, trouble
):
    door = platform.door()
    getattr(door.wire, trouble)(operation)
    if trouble.startswith("die"):
        with pytest.raises(DiedError):
            door.post(LARGE, key="k")
    else:
        assert door.post(LARGE, key="k")[0] == (200 if operation in {"PutItem", "UpdateItem"} else 503)
    first = platform.door().post(LARGE, key="k")
    assert first[0] == 200
    assert platform.door().post(LARGE, key="k") == first
    job = json.loads(first[1])["job"]
    assert (platform.job.id, platform.job.state) == (job, JobState.QUEUED)
    envelopes = platform.messages()
    assert envelopes
    assert len(envelopes) <= 2 or trouble == "lose_answers"
    for envelope in envelopes:
        message = json.loads(envelope["Message"])
        assert message["metadata"]["job"] == job
        assert platform.read(message["content_url"])


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("operation", CALLS)
def test_two_requests_with_one_key_at_the_same_moment_are_one_job(platform, operation, is_after):
    slow, fast, answers = platform.door(), platform.door(), []
    slow.wire.meanwhile(operation, lambda: answers.append(fast.post(LARGE, key="k")), after=is_after)
    answers.append(slow.post(LARGE, key="k"))
    assert answers[0] == answers[1]
    assert answers[0][0] == 200
    assert (platform.job.state, set(platform.published_jobs())) == (JobState.QUEUED, {platform.job.id})


def test_a_key_that_another_transaction_holds_is_tried_again(platform):
    door = platform.door()
    door.wire.answer_once("TransactWriteItems", "TransactionCanceledException", **CONFLICT)
    assert door.post(TASK, key="k")[0] == 200
    assert platform.published_jobs() == [platform.job.id]


def test_a_key_that_stays_in_other_transactions_is_answered_503(platform, monkeypatch):
    monkeypatch.setattr("api.operations.submission._KEY_PAUSE_S", 0.001)
    door = platform.door()
    conflict = door.wire.answer_once

    def again():
        conflict("TransactWriteItems", "TransactionCanceledException", **CONFLICT)
        door.wire.meanwhile("GetItem", again)

    again()
    assert door.post(TASK, key="k")[0] == 503
    assert platform.items == []


def test_a_job_that_an_agent_has_is_not_published_again(platform):
    door = platform.door()
    door.wire.cut("UpdateItem")
    first = door.post(TASK, key="k")
    platform.claim_job()
    platform.messages()
    assert door.post(TASK, key="k") == first
    assert platform.published_jobs() == []


def test_a_job_that_was_erased_is_neither_published_nor_entered_again(platform):
    first = platform.door().post(TASK, key="k")
    platform.messages()
    platform.aws.dynamodb.delete_item(TableName=platform.store.table, Key={"pk": {"S": platform.job.id}})
    assert platform.door().post(TASK, key="k") == first
    assert platform.published_jobs() == platform.jobs == []


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("/v1alpha2", {"task": {**TASK["task"], "content": {"prompt": "a dog"}}}),
        ("/v1alpha2", json.dumps({**TASK, **SCRIPTS}, indent=1)),
        ("/v1alpha1", {**TASK, **SCRIPTS}),
    ],
)
def test_a_key_with_another_body_or_version_of_the_api_is_a_conflict(platform, path, other):
    door = platform.door()
    assert door.post({**TASK, **SCRIPTS}, key="k")[0] == 200
    status, answer = door.post(other, key="k", path=path)
    assert (status, json.loads(answer)["error"]["code"]) == (409, "idempotency_conflict")
    assert len(platform.published_jobs()) == len(platform.jobs) == 1


@pytest.mark.parametrize("prompt", ["a unicorn", "a horse"])
def test_a_large_request_that_is_repeated_or_refused_leaves_no_second_content(platform, prompt):
    platform.door().post(LARGE, key="k")
    again = json.loads(json.dumps(LARGE))
    again["task"]["content"]["prompt"] = prompt
    for body in (LARGE, again):
        platform.door().post(body, key="k")
    assert platform.aws.s3.list_objects_v2(Bucket=platform.bucket, Prefix="_tasks/")["KeyCount"] == 1


def test_each_tenant_has_keys_of_its_own(platform):
    door = platform.door()
    answers = {door.post(TASK, key="k", tenant=tenant) for tenant in ("one", "two", None)}
    assert len(answers) == len(platform.jobs) == 3


def test_a_refused_request_uses_no_key_up(platform):
    door = platform.door()
    assert door.post({"task": {}}, key="k")[0] == 400
    assert door.post(TASK, key="k")[0] == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a\tb", "a\n"])
def test_a_key_that_is_not_1_to_255_printable_ascii_characters_is_rejected_by_name(platform, key):
    door = platform.door()
    status, answer = door.post(TASK, key=key)
    assert status == 400
    assert [detail["field"] for detail in json.loads(answer)["error"]["details"]] == ["Idempotency-Key"]
    assert platform.items == []
    assert {door.post(TASK, key=one)[0] for one in (" ~", "x" * 255)} == {200}


@pytest.mark.parametrize(("age_s", "jobs"), [(IDEMPOTENCY_S - 60, 1), (IDEMPOTENCY_S + 60, 2)])
def test_a_key_is_used_up_for_a_day(platform, monkeypatch, age_s, jobs):
    door = platform.door()
    door.post(TASK, key="k")
    after(monkeypatch, age_s)
    assert door.post(TASK, key="k")[0] == 200
    assert len(platform.jobs) == jobs


def test_an_expired_key_that_another_transaction_holds_is_not_taken_for_one_in_use(platform, monkeypatch):
    door = platform.door()
    door.post(TASK, key="k")
    after(monkeypatch, IDEMPOTENCY_S + 60)
    door.wire.answer_once("TransactWriteItems", "TransactionCanceledException", **CONFLICT)
    assert door.post({"task": {**TASK["task"], "content": {}}}, key="k")[0] == 200
    assert len(platform.jobs) == 2


def test_a_repeated_job_keeps_the_time_of_its_first_acceptance(platform, monkeypatch):
    door = platform.door()
    door.wire.die_before("Publish")
    with pytest.raises(DiedError):
        door.post(TASK, key="k")
    created_s = platform.job.created_s
    after(monkeypatch, 1000)
    platform.door().post(TASK, key="k")
    assert platform.job.start_by_s == pytest.approx(created_s + 86400, abs=0.01)
