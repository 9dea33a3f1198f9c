import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.ids import foreign_job_id, new_job_id
from queue_agent.errors import SchemaTooNew, UnreadableMessage
from queue_agent.message import read_message
from queue_agent.ports import QueueMessage

SEED_FIELDS = {"id": "a", "runtime": "r", "tasktype": "text-to-image", "prefix": "output", "context": {"abc": 123}}


def test_a_message_of_the_door_keeps_its_job(make_message):
    job = new_job_id()
    assignment = read_message(make_message({"metadata": {**SEED_FIELDS, "job": job}, "content": {}}))
    assert assignment.job == job


def test_a_message_with_only_the_seeds_fields_is_read(make_message):
    task = read_message(make_message({"metadata": SEED_FIELDS, "content": {"prompt": "x"}})).task
    assert (task.metadata.context, task.content) == ({"abc": 123}, {"prompt": "x"})


def test_a_foreign_job_id_comes_from_the_envelope_and_survives_a_redrive(make_message):
    first = make_message({"metadata": SEED_FIELDS, "content": {}})
    redriven = dataclasses.replace(first, message_id="another-sqs-id", sent_ms=1)
    assert read_message(first).job == read_message(redriven).job == foreign_job_id(1795220046123, "3a6f2f5e-envelope")


def test_a_message_without_envelope_is_read_and_named_after_sqs(make_message):
    raw = dataclasses.replace(make_message(""), body=json.dumps({"metadata": SEED_FIELDS, "content": {}}))
    assert read_message(raw).job == foreign_job_id(1795224073954, "sqs-id")


def test_a_higher_schema_is_for_a_newer_agent(make_message):
    with pytest.raises(SchemaTooNew):
        read_message(make_message({"metadata": {**SEED_FIELDS, "schema": 2, "id": {"new": "shape"}}, "content": 1}))


@pytest.mark.parametrize(
    ("body", "task_id"),
    [
        ("{", None),
        ("[]", None),
        ({"metadata": {"id": "a"}}, "a"),
        ({"metadata": {**SEED_FIELDS, "id": "../../etc"}, "content": {}}, "../../etc"),
        ({"metadata": {**SEED_FIELDS, "id": 5}, "content": {}}, None),
        ({"metadata": {**SEED_FIELDS, "prefix": "_tasks"}, "content": {}}, "a"),
        ({"metadata": SEED_FIELDS}, "a"),
        ({"metadata": SEED_FIELDS, "content": "x"}, "a"),
    ],
)
def test_a_message_that_is_no_task_tells_what_can_be_read_of_it(make_message, body, task_id):
    with pytest.raises(UnreadableMessage) as caught:
        read_message(make_message(body))
    assert caught.value.task_id == task_id
    assert caught.value.job


@given(st.text() | st.dictionaries(st.sampled_from(["Type", "Message", "metadata", "content"]), st.text() | st.none()))
def test_any_body_that_is_no_task_is_unreadable_and_says_why(body):
    text = body if isinstance(body, str) else json.dumps(body)
    message = QueueMessage(message_id="m", receipt="r", body=text, receive_count=1, sent_ms=0, first_received_ms=0)
    with pytest.raises(UnreadableMessage, match="message"):
        read_message(message)


def test_what_is_told_of_a_message_that_is_no_task_fits_into_a_notice(make_message):
    with pytest.raises(UnreadableMessage) as caught:
        read_message(make_message({"metadata": {"id": "x" * 200_000, "context": "x" * 200_000}}))
    assert len(caught.value.task_id) == 1024
    assert caught.value.context is None
