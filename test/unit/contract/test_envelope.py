import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.envelope import NewerSchemaError, UnreadableMessageError, read_message
from contract.ids import foreign_job_id, new_job_id

SEED_FIELDS = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "prefix": "output", "context": {"abc": 123}}


def read(body, *, envelope=True, message_id="sqs-id", sent_ms=1795224073954):
    """Read a message with a body, as SNS wraps it unless told otherwise."""
    text = body if isinstance(body, str) else json.dumps(body)
    if envelope:
        wrapped = {"Type": "Notification", "MessageId": "3a6f2f5e-envelope", "TopicArn": "arn:aws:sns:eu:1:tasks"}
        text = json.dumps({**wrapped, "Message": text, "Timestamp": "2026-11-21T00:14:06.123Z"})
    return read_message(text, message_id=message_id, sent_ms=sent_ms)


def test_a_message_of_the_api_keeps_its_job_and_one_with_only_the_seeds_fields_is_read():
    job, content = new_job_id(), {"prompt": "x"}
    assert read({"metadata": {**SEED_FIELDS, "job": job}, "content": content}).job == job
    task = read({"metadata": SEED_FIELDS, "content": content}).task
    assert (task.metadata.context, task.content) == ({"abc": 123}, content)


def test_a_foreign_job_id_comes_from_the_envelope_and_survives_a_redrive():
    body = {"metadata": SEED_FIELDS, "content": {}}
    redriven = read(body, message_id="another-sqs-id", sent_ms=1)
    assert read(body).job == redriven.job == foreign_job_id(1795220046123, "3a6f2f5e-envelope")
    assert read(body, envelope=False).job == foreign_job_id(1795224073954, "sqs-id")


def test_a_higher_schema_is_for_newer_code():
    with pytest.raises(NewerSchemaError):
        read({"metadata": {**SEED_FIELDS, "schema": 2, "id": {"new": "shape"}}, "content": 1})


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ("{", None),
        ({"metadata": {"id": "a"}}, "a"),
        ({"metadata": {**SEED_FIELDS, "id": "../../etc"}, "content": {}}, "../../etc"),
        ({"metadata": {**SEED_FIELDS, "id": 5}, "content": {}}, None),
        ({"metadata": SEED_FIELDS, "content": "x"}, "a"),
        ({"metadata": {"id": "x" * 200_000, "context": "x" * 200_000}}, "x" * 1024),  # as much as a notice holds
    ],
)
def test_a_message_that_is_no_task_tells_what_can_be_read_of_it(body, task_id):
    with pytest.raises(UnreadableMessageError) as caught:
        read(body)
    assert caught.value.task_id == task_id
    assert caught.value.context in (None, SEED_FIELDS["context"])
    assert caught.value.job


@given(st.text() | st.dictionaries(st.sampled_from(["Type", "Message", "metadata", "content"]), st.text() | st.none()))
def test_any_body_that_is_no_task_is_unreadable_and_says_why(body):
    with pytest.raises(UnreadableMessageError, match="message"):
        read(body, envelope=False)
