import json

import pytest


def request(content, tasktype="text-to-image", runtime="sdruntime"):
    return {"task": {"metadata": {"id": "a", "runtime": runtime, "tasktype": tasktype}, "content": content}}


@pytest.mark.parametrize("content", [None, [], "x", 1])
def test_content_that_is_no_object_is_refused(door, content):
    assert "task.content" in door.rejection(request(content))


def test_a_flux_runtime_is_asked_for_what_its_model_does_alone(door):
    problem = door.rejection(request({"prompt": "a"}, "inpainting", "kontext"))["task.metadata.tasktype"]
    assert problem == 'must be edit or text-to-image for runtime kontext (flux), not "inpainting"'


def test_a_flux_request_with_megabytes_of_picture_is_taken_and_kept_in_the_bucket(door):
    content = {"instructions": "make it night", "image": "A" * 6_000_000}
    assert door.send(request(content, "edit", "kontext"))[0] == 200
    assert [operation for operation, _ in door.s3.calls] == ["put_object"]


def test_a_large_content_is_kept_in_the_bucket_no_larger_than_it_came(door):
    content = {"prompt": "ü" * 1_500_000}
    assert door.send(request(content))[0] == 200
    ((_, stored),) = door.s3.calls
    assert len(stored["Body"]) < 3_100_000
    assert json.loads(stored["Body"]) == content
