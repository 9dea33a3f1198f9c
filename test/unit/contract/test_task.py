import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
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
    ("key", "values"),
    [
        ("id", ["test-t2i", "a", "A.b_c-d!*'()", "0" * 128, "._a"]),
        ("prefix", ["output", "a/b/c", "2026-11-21", "a.b"]),
    ],
)
def test_ordinary_ids_and_prefixes_are_taken(key, values):
    for value in values:
        assert getattr(Metadata.model_validate({**MINIMAL, key: value}), key) == value


_ID = ["", "a/b", "../a", "a..b", ".", "..", "a b", "ä", "a\n", "a\x00", "0" * 129, "%2e", "a\\b", "?x", "#x"]
_PREFIX = ["", "/", "/a", "a//b", "../a", "a/../b", "a/./b", "_tasks", "_", "a b", "a/ä", "a\\b", "x" * 513, "a//"]


@pytest.mark.parametrize(("key", "value"), [*(("id", one) for one in _ID), *(("prefix", one) for one in _PREFIX)])
def test_ids_and_prefixes_that_make_no_safe_key_are_rejected(key, value):
    assert key in problems({key: value})


def test_one_trailing_slash_of_a_prefix_is_dropped():
    assert Metadata.model_validate({**MINIMAL, "prefix": "outputs/"}).prefix == "outputs"


def test_a_missing_prefix_is_output_and_a_missing_context_is_null():
    metadata = Metadata.model_validate(MINIMAL)
    assert (metadata.prefix, metadata.context, metadata.schema_version, metadata.job) == ("output", None, 1, None)


def test_a_context_of_exactly_the_limit_is_taken_and_one_byte_more_is_not():
    text = "画" * ((MAX_CONTEXT_BYTES - 2) // 3)
    text += "x" * (MAX_CONTEXT_BYTES - 2 - len(text.encode()))
    assert Metadata.model_validate({**MINIMAL, "context": text}).context == text
    assert "16384 are allowed" in problems({"context": text + "x"})["context"]


def test_every_fault_is_named_at_once():
    assert set(problems({"id": "a/b", "prefix": "_x", "tasktype": "", "context": "x" * 20000})) == {
        "id",
        "prefix",
        "tasktype",
        "context",
    }


def test_unknown_keys_are_ignored():
    assert Task.model_validate({"metadata": {**MINIMAL, "later": 1}, "content": {}, "more": 2}).content == {}


def test_a_message_needs_exactly_one_content():
    for extra in ({}, {"content": {}, "content_url": "s3://b/_tasks/x.json"}):
        with pytest.raises(ValidationError, match="either content or content_url"):
            Task.model_validate({"metadata": MINIMAL, **extra})


@given(
    context=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_a_context_travels_type_for_type(context):
    task = Task.model_validate(
        {"metadata": {**MINIMAL, "context": context, "job": new_job_id()}, "content": {"a": None}}
    )
    back = Task.model_validate(json.loads(task.to_message()))
    assert json.dumps(back.metadata.context) == json.dumps(context)
    assert back == task
