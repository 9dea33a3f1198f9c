import json

import pytest
from pydantic import ValidationError

from contract.field_errors import field_errors_of
from contract.ids import new_job_id
from contract.task import MAX_CONTEXT_BYTES, Metadata, Task

MINIMAL = {"id": "a", "runtime": "r", "tasktype": "t"}


def problems(metadata):
    with pytest.raises(ValidationError) as caught:
        Metadata.model_validate({**MINIMAL, **metadata})
    return {fault.pointer: fault.detail for fault in field_errors_of(caught.value, Metadata, {**MINIMAL, **metadata})}


@pytest.mark.parametrize(
    ("key", "value", "taken"),
    [
        *(("id", one, one) for one in ("test-t2i", "A.b_c-d!*'()", "0" * 128, "._a")),
        *(("prefix", one, one) for one in ("output", "a/b/c", "2026-11-21", "a.b")),
        ("prefix", "outputs/", "outputs"),
    ],
)
def test_ordinary_ids_and_prefixes_are_taken(key, value, taken):
    metadata = Metadata.model_validate({**MINIMAL, key: value})
    assert getattr(metadata, key) == taken
    assert (metadata.context, metadata.schema_version, metadata.job) == (None, 1, None)


_ID = ["", "a/b", "a..b", ".", "..", "a b", "ä", "a\n", "0" * 129, "%2e", "a\\b", "#x"]
_PREFIX = ["", "/", "/a", "a//b", "../a", "a/./b", "_tasks", "a b", "a/ä", "a\\b", "x" * 513, "a//"]


@pytest.mark.parametrize(("key", "value"), [*(("id", one) for one in _ID), *(("prefix", one) for one in _PREFIX)])
def test_ids_and_prefixes_that_make_no_safe_key_are_rejected(key, value):
    assert key in problems({key: value})


def test_a_context_of_exactly_the_limit_is_taken_and_one_byte_more_is_not():
    text = "画" * ((MAX_CONTEXT_BYTES - 2) // 3)
    text += "x" * (MAX_CONTEXT_BYTES - 2 - len(text.encode()))
    assert Metadata.model_validate({**MINIMAL, "context": text}).context == text
    assert "16384 are allowed" in problems({"context": text + "x"})["context"]


def test_unknown_keys_are_ignored():
    assert Task.model_validate({"metadata": {**MINIMAL, "later": 1}, "content": {}, "more": 2}).content == {}


def test_a_message_needs_exactly_one_content():
    for extra in ({}, {"content": {}, "content_url": "s3://b/_tasks/x.json"}):
        with pytest.raises(ValidationError, match="either content or content_url"):
            Task.model_validate({"metadata": MINIMAL, **extra})


@pytest.mark.parametrize("context", [None, True, 1, 1.0, "😀", [], {"a": [None, {"b": 2.5}]}])
def test_a_context_travels_type_for_type(context):
    metadata = {**MINIMAL, "context": context, "job": new_job_id()}
    task = Task.model_validate({"metadata": metadata, "content": {"a": None}})
    back = Task.model_validate(json.loads(task.to_message()))
    assert json.dumps(back.metadata.context) == json.dumps(context)
    assert back == task


@pytest.mark.parametrize(
    ("given", "priority"),
    [({}, "normal"), ({"priority": "low"}, "low"), ({"priority": 7}, "normal"), ({"priority": ["high"]}, "normal")],
)
def test_a_priority_is_written_where_it_is_not_normal_and_another_producers_own_means_nothing(given, priority):
    task = Task.model_validate({"metadata": {**MINIMAL, **given}, "content": {}})
    assert task.metadata.priority == priority
    publication = task.publication("arn:topic")
    attributes = {name: one["StringValue"] for name, one in publication["MessageAttributes"].items()}
    written = {} if priority == "normal" else {"priority": priority}
    assert attributes == {"runtime": "r", **written}
    assert json.loads(publication["Message"])["metadata"] == {**MINIMAL, "prefix": "output", "schema": 1, **written}
