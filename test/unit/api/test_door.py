"""The door as an HTTP server of any request: what it takes, what it answers, and what it publishes."""

import base64
import json
import logging
import re
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

METADATA = {"id": "a", "runtime": "sdruntime", "tasktype": "text-to-image"}
GOOD = {"task": {"metadata": METADATA, "content": {"prompt": "a unicorn in the garden"}}}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def with_header(name, value):
    return {"Content-Type": "application/json", name: value}


@pytest.mark.parametrize(
    "request_",
    [
        *({"path": path} for path in ("/v1alpha2/", "//v1alpha2", "/v1alpha2//")),
        *({"headers": {"Content-Type": kind}} for kind in ("application/json", "Application/JSON;charset=UTF-8")),
        {"headers": {"content-type": 'application/json; charset="utf-8"'}},
        {"body": base64.b64encode(json.dumps(GOOD).encode()).decode(), "isBase64Encoded": True},
    ],
)
def test_json_in_utf8_is_taken_however_it_is_sent(door, request_):
    assert door.send(**{"body": GOOD, **request_})[0] == 200


REJECTED = [
    *(({"path": path}, 404, "not_found") for path in ("/", "", "/v2", "/v1alpha2/more", "/V1ALPHA2")),
    *(({"method": method}, 405, "method_not_allowed") for method in ("GET", "PUT", "OPTIONS")),
    ({"headers": {}}, 415, "unsupported_media_type"),
    *(
        ({"headers": {"Content-Type": value}}, 415, "unsupported_media_type")
        for value in ("", "text/plain", "application/json; charset=latin1", "application/jsonp")
    ),
    *(
        ({"body": body, "path": path}, 400, "invalid_request")
        for body in (None, "{", "null", "[]", '"x"', '{"task": NaN}', "{}", '{"task": []}')
        for path in ("/v1alpha1", "/v1alpha2")
    ),
    ({"body": "%%%", "isBase64Encoded": True}, 400, "invalid_request"),
]


@pytest.mark.parametrize(("request_", "status", "code"), REJECTED)
def test_a_request_that_is_no_task_is_rejected_in_json_of_one_shape_and_nothing_is_published(
    door, request_, status, code
):
    response = door.respond(**{"body": GOOD, **request_})
    error = json.loads(response["body"])["error"]
    assert (response["statusCode"], response["headers"]["Content-Type"]) == (status, "application/json")
    assert (set(error), error["code"], bool(error["message"])) == ({"code", "message", "details"}, code, True)
    assert status != 404 or "/v1alpha2" in error["message"]
    assert status != 405 or response["headers"]["Allow"] == "POST"
    assert door.sns.calls == door.s3.calls == []


def test_a_bug_is_answered_500_in_the_same_shape(door, monkeypatch):
    monkeypatch.setattr("api.faces.alpha.new_job_id", lambda: 1 / 0)
    status, answer = door.send(GOOD)
    assert (status, answer["error"]["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" not in json.dumps(answer)


def test_a_full_disk_is_named(door, monkeypatch):
    full = ClientError({"Error": {"Code": "InsufficientStorage"}}, "TransactWriteItems")
    monkeypatch.setattr("api.operations.submission.Submissions.submit", Mock(side_effect=full))
    response = door.respond(body=GOOD)
    error = json.loads(response["body"])["error"]
    assert (response["statusCode"], error["code"], "disk is full" in error["message"]) == (503, "disk_full", True)
    assert response["headers"]["Retry-After"] == "30"


def test_of_very_many_errors_the_first_hundred_are_told(door):
    content = {str(number): [] for number in range(5000)}
    _, answer = door.send(
        {"task": {"metadata": {**METADATA, "runtime": "comfy", "tasktype": "pipeline"}, "content": content}}
    )
    assert len(answer["error"]["details"]) == 100
    assert answer["error"]["message"] == "The request has more than 100 faults; details names the first 100."


def test_errors_of_headers_and_body_are_named_at_once(door):
    errors = door.rejection({"task": {"metadata": {}}}, headers=with_header("Idempotency-Key", ""))
    assert {"Idempotency-Key", "task.metadata.id", "task.metadata.runtime", "task.content"} <= set(errors)


def test_neither_prompt_nor_key_is_ever_logged(door, caplog):
    caplog.set_level(logging.DEBUG)
    door.send(GOOD)
    door.send({"task": {**GOOD["task"], "metadata": {}}})
    door.send(GOOD, headers=with_header("x-api-key", "secret"))
    door.break_sns()
    door.send(GOOD)
    assert "unicorn" not in caplog.text
    assert "secret" not in caplog.text


def test_a_task_travels_with_its_job_its_tenant_and_its_runtime_whatever_the_caller_says_of_them(door):
    theirs = {"tenant": "other", "job": "x", "schema": 99, "submitted_at": "never"}
    _, answer = door.send({"task": {**GOOD["task"], "metadata": {**METADATA, **theirs}}})
    metadata = json.loads(door.published["Message"])["metadata"]
    assert (metadata["job"], metadata["schema"]) == (answer["job"], 1)
    assert metadata["tenant"] == door.published["MessageGroupId"] == "key-1"
    assert re.match(r"\d{4}-\d\d-\d\dT", metadata["submitted_at"])
    assert door.published["MessageAttributes"] == {"runtime": {"DataType": "String", "StringValue": "sdruntime"}}


def test_without_an_api_key_id_there_is_no_tenant(door):
    door.send(GOOD, key_id=None)
    assert "MessageGroupId" not in door.published


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_valid_traceparent_goes_with_the_task(door, name):
    door.send(GOOD, headers=with_header(name, TRACEPARENT))
    assert door.published["MessageAttributes"]["traceparent"]["StringValue"] == TRACEPARENT


@pytest.mark.parametrize(
    "value",
    [
        *("", None, TRACEPARENT.upper(), f"{TRACEPARENT}-00", f"{TRACEPARENT}\n", f"ff{TRACEPARENT[2:]}"),
        TRACEPARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACEPARENT.replace("00f067aa0ba902b7", "0" * 16),
    ],
)
def test_a_malformed_traceparent_is_ignored(door, value):
    assert door.send(GOOD, headers=with_header("traceparent", value))[0] == 200
    assert set(door.published["MessageAttributes"]) == {"runtime"}


def test_small_content_travels_in_the_message_and_s3_is_not_even_opened(door):
    door.send(GOOD)
    assert json.loads(door.published["Message"])["content"] == GOOD["task"]["content"]
    assert door.s3_made == 0


def test_content_above_200_kib_goes_to_s3_no_larger_than_it_came_and_the_message_names_it(door):
    content = {"prompt": "ü" * 1_500_000}
    _, answer = door.send({"task": {"metadata": METADATA, "content": content}})
    ((operation, stored),) = door.s3.calls
    message = json.loads(door.published["Message"])
    assert (operation, stored["Bucket"], stored["Key"]) == ("put_object", "bucket", f"_tasks/{answer['job']}.json")
    assert json.loads(stored["Body"]) == content
    assert len(stored["Body"]) < 3_100_000
    assert (message["content_url"], "content" in message) == (f"s3://bucket/_tasks/{answer['job']}.json", False)


def test_the_largest_message_fits_into_sns(door):
    metadata = {**METADATA, "context": "😀" * 4095, "prefix": "p" * 512, "id": "i" * 128}
    assert door.send({"task": {"metadata": metadata, "content": {"prompt": "x" * (200 * 1024 - 20)}}})[0] == 200
    assert door.s3.calls == []
    assert 240 * 1024 < len(door.published["Message"]) < 256 * 1024


KEYS = (
    *("task", "metadata", "content", "id", "runtime", "tasktype", "prefix", "alwayson_scripts", "steps", "id_task"),
    *("sd_model_checkpoint", "override_settings", "init_images", "prompt", "nodes", "inputs"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=25,
)


@settings(deadline=None)
@given(
    body=json_values | st.text(max_size=50),
    path=st.sampled_from(["/v1alpha1", "/v1alpha2"]),
    content=json_values,
    runtime=st.sampled_from(["sdruntime", "dynamic", "comfy", "kontext"]),
    tasktype=st.sampled_from(["text-to-image", "extra-single-image", "extra-batch-images", "pipeline", "edit", "nope"]),
)
def test_any_body_and_any_content_at_all_is_answered_200_or_400(make_door, *, body, path, content, runtime, tasktype):
    task = {"task": {"metadata": {"id": "a", "runtime": runtime, "tasktype": tasktype}, "content": content}}
    for sent, to in ((body, path), (task, "/v1alpha2")):
        status, answer = make_door().send(sent if isinstance(sent, str) else json.dumps(sent), path=to)
        assert status in {200, 400}
        assert status == 200 or answer["error"]["details"]
