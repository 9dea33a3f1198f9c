import base64
import json
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

GOOD = {
    "task": {
        "metadata": {"id": "a", "runtime": "sdruntime", "tasktype": "text-to-image"},
        "content": {"prompt": "a unicorn in the garden"},
    }
}


@pytest.mark.parametrize("path", ["/v1alpha2", "/v1alpha2/", "//v1alpha2", "/v1alpha2//"])
def test_doubled_and_trailing_slashes_work(door, path):
    assert door.send(GOOD, path=path)[0] == 200


@pytest.mark.parametrize("path", ["/", "", "/v2", "/v1alpha2/more", "/V1ALPHA2", "/v1alpha3"])
def test_an_unknown_path_is_404_and_names_the_known_ones(door, path):
    status, answer = door.send(GOOD, path=path)
    assert status == 404
    assert "/v1alpha2" in answer["error"]["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
def test_any_method_but_post_is_405_and_says_what_is_allowed(door, method):
    response = door.respond(GOOD, method=method)
    assert (response["statusCode"], response["headers"]["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
    ],
)
def test_json_in_utf8_is_taken_however_it_is_written(door, content_type):
    assert door.send(GOOD, headers={"Content-Type": content_type})[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"CONTENT-TYPE": "application/json; charset=latin1"},
        {"content-type": "application/jsonp"},
        {"content-type": ""},
    ],
)
def test_any_other_content_type_is_415(door, headers):
    assert door.send(GOOD, headers=headers)[0] == 415
    assert door.sns.calls == []


@pytest.mark.parametrize("body", [None, "", "{", "null", "[]", "1", '"x"', "[[", '{"task": NaN}', "{}", '{"task": []}'])
def test_a_body_that_is_no_task_is_400_in_both_versions(make_door, body):
    for path in ("/v1alpha1", "/v1alpha2"):
        make_door().refusal(body, path=path)


def test_a_base64_body_is_read(door):
    body = base64.b64encode(json.dumps(GOOD).encode()).decode()
    assert door.send(body, isBase64Encoded=True)[0] == 200
    assert door.send("%%%", isBase64Encoded=True)[0] == 400


def test_every_refusal_is_json_of_one_shape(door):
    for response in (
        door.respond(GOOD, path="/nope"),
        door.respond(GOOD, method="GET"),
        door.respond(GOOD, headers={}),
        door.respond("{"),
    ):
        assert response["headers"]["Content-Type"] == "application/json"
        error = json.loads(response["body"])["error"]
        assert set(error) == {"code", "message", "details"}


def test_a_task_that_cannot_be_queued_is_503_and_says_to_try_again(door):
    door.break_sns()
    response = door.respond(GOOD)
    assert (response["statusCode"], response["headers"]["Retry-After"]) == (503, "1")


def test_a_bug_is_answered_500_in_the_same_shape(door, monkeypatch):
    monkeypatch.setattr("api.door.new_job_id", lambda: 1 / 0)
    status, answer = door.send(GOOD)
    assert (status, answer["error"]["code"]) == (500, "internal_error")
    assert "ZeroDivisionError" not in json.dumps(answer)


def test_a_request_with_very_many_faults_is_told_the_first_hundred(door):
    content = {str(number): [] for number in range(5000)}
    metadata = {"id": "a", "runtime": "comfy", "tasktype": "pipeline"}
    _, answer = door.send({"task": {"metadata": metadata, "content": content}})
    assert len(answer["error"]["details"]) == 100
    assert answer["error"]["message"] == "The request has more than 100 faults; details names the first 100."


def test_neither_prompt_nor_key_is_ever_logged(door, caplog):
    caplog.set_level(logging.DEBUG)
    door.send(GOOD)
    door.send({**GOOD, "task": {**GOOD["task"], "metadata": {}}})
    door.send(GOOD, headers={"x-api-key": "secret", "content-type": "application/json"})
    door.break_sns()
    door.send(GOOD)
    assert "unicorn" not in caplog.text
    assert "secret" not in caplog.text


def test_a_job_and_its_tenant_travel_with_the_task(door):
    _, answer = door.send(GOOD)
    message = json.loads(door.published["Message"])
    assert message["metadata"]["job"] == answer["job"]
    assert message["metadata"]["tenant"] == door.published["MessageGroupId"] == "key-1"
    assert re.match(r"\d{4}-\d\d-\d\dT", message["metadata"]["submitted_at"])
    assert message["metadata"]["schema"] == 1
    assert door.published["MessageAttributes"] == {"runtime": {"DataType": "String", "StringValue": "sdruntime"}}


TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def with_header(name, value):
    return {"Content-Type": "application/json", name: value}


@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_a_valid_traceparent_goes_with_the_task(door, name):
    door.send(GOOD, headers=with_header(name, TRACEPARENT))
    attribute = door.published["MessageAttributes"]["traceparent"]
    assert attribute == {"DataType": "String", "StringValue": TRACEPARENT}


@pytest.mark.parametrize(
    "value",
    [
        "",
        None,
        "x",
        TRACEPARENT.upper(),
        TRACEPARENT[:-1],
        f"{TRACEPARENT}-00",
        f"{TRACEPARENT}\n",
        f"ff{TRACEPARENT[2:]}",
        TRACEPARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACEPARENT.replace("00f067aa0ba902b7", "0" * 16),
        TRACEPARENT.replace("-", "_"),
    ],
)
def test_a_malformed_traceparent_is_ignored(door, value):
    assert door.send(GOOD, headers=with_header("traceparent", value))[0] == 200
    assert set(door.published["MessageAttributes"]) == {"runtime"}


def test_faults_of_headers_and_body_are_named_at_once(door):
    body = {"task": {**GOOD["task"], "metadata": {}}}
    faults = door.refusal(body, headers=with_header("Idempotency-Key", ""))
    assert {"Idempotency-Key", "task.metadata.id", "task.metadata.runtime"} <= set(faults)


def test_without_an_api_key_id_there_is_no_tenant(door):
    door.send(GOOD, key_id=None)
    assert "MessageGroupId" not in door.published


def test_two_submissions_of_one_id_are_two_jobs(door):
    assert door.send(GOOD)[1]["job"] != door.send(GOOD)[1]["job"]


def test_a_caller_cannot_set_what_the_platform_sets(door):
    metadata = {**GOOD["task"]["metadata"], "tenant": "other", "job": "x", "schema": 99, "submitted_at": "never"}
    status, _ = door.send({"task": {**GOOD["task"], "metadata": metadata}})
    assert status == 200
    assert json.loads(door.published["Message"])["metadata"]["tenant"] == "key-1"


def test_small_content_travels_in_the_message_and_s3_is_not_even_opened(door):
    door.send(GOOD)
    assert json.loads(door.published["Message"])["content"] == GOOD["task"]["content"]
    assert door.s3_made == 0


def test_content_above_200_kib_goes_to_s3_and_the_message_names_it(door):
    image = "A" * (200 * 1024)
    body = {
        "task": {
            "metadata": {**GOOD["task"]["metadata"], "tasktype": "image-to-image"},
            "content": {"init_images": [image]},
        }
    }
    _, answer = door.send(body)
    ((operation, stored),) = door.s3.calls
    message = json.loads(door.published["Message"])
    assert operation == "put_object"
    assert (stored["Bucket"], stored["Key"]) == ("bucket", f"_tasks/{answer['job']}.json")
    assert json.loads(stored["Body"]) == body["task"]["content"]
    assert message["content_url"] == f"s3://bucket/_tasks/{answer['job']}.json"
    assert "content" not in message


def test_the_largest_message_fits_into_sns(door):
    body = {
        "task": {
            "metadata": {**GOOD["task"]["metadata"], "context": "😀" * 4095, "prefix": "p" * 512, "id": "i" * 128},
            "content": {"prompt": "x" * (200 * 1024 - 20)},
        }
    }
    assert door.send(body)[0] == 200
    assert door.s3.calls == []
    assert 240 * 1024 < len(door.published["Message"]) < 256 * 1024


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "task",
                    "metadata",
                    "content",
                    "id",
                    "runtime",
                    "tasktype",
                    "prefix",
                    "alwayson_scripts",
                    "steps",
                    "id_task",
                    "sd_model_checkpoint",
                    "override_settings",
                    "init_images",
                    "prompt",
                    "nodes",
                    "inputs",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(body=json_values | st.text(max_size=50), path=st.sampled_from(["/v1alpha1", "/v1alpha2"]))
def test_any_body_at_all_is_answered_200_or_400(make_door, body, path):
    door = make_door()
    text = body if isinstance(body, str) else json.dumps(body)
    status, answer = door.send(text, path=path)
    assert status in {200, 400}
    assert status == 200 or answer["error"]["details"]


@given(
    content=json_values,
    runtime=st.sampled_from(["sdruntime", "dynamic", "comfy"]),
    tasktype=st.sampled_from(
        ["text-to-image", "image-to-image", "extra-single-image", "extra-batch-images", "pipeline", "nope"]
    ),
)
def test_any_content_at_all_is_answered_200_or_400(make_door, content, runtime, tasktype):
    body = {"task": {"metadata": {"id": "a", "runtime": runtime, "tasktype": tasktype}, "content": content}}
    assert make_door().send(json.dumps(body))[0] in {200, 400}
