"""Requests are checked against what the model servers have, where that is known."""

import json
import logging
import time

import pytest

from api import live
from api.live import MAX_AGE_S
from contract.objects import catalog_key
from runtimes.live import LiveCatalog, NodeClass, NodeInput
from test.kit.tasks import content_of

CATALOG = LiveCatalog(
    nodes={
        "CheckpointLoaderSimple": NodeClass(module="nodes", inputs={"ckpt_name": NodeInput(type="COMBO", choices=0)}),
        **{name: NodeClass(module="nodes") for name in ("CLIPTextEncode", "EmptyLatentImage", "KSampler", "VAEDecode")},
        "SaveImage": NodeClass(module="nodes", is_output=True),
    },
    lists=(("a.safetensors", "b.ckpt"),),
)
WRONG = content_of("comfyui")
WRONG["1"]["inputs"]["ckpt_name"] = "c.ckpt"


def body(content):
    return {"task": {"metadata": {"id": "a", "runtime": "comfy", "tasktype": "pipeline"}, "content": content}}


@pytest.fixture
def bucket(platform):
    """Publishes for runtime comfy."""

    def publish(data=None):
        data = CATALOG.pack() if data is None else data
        platform.aws.s3.put_object(Bucket=platform.bucket, Key=catalog_key("comfy"), Body=data, ContentEncoding="gzip")

    return publish


def test_a_model_that_the_servers_do_not_have_is_rejected_with_those_that_they_have(platform, bucket):
    bucket()
    door = platform.door()
    status, answer = door.post(body(WRONG))
    (error,) = json.loads(answer)["error"]["details"]
    assert (status, error["field"]) == (400, "task.content.1.inputs.ckpt_name")
    assert error["problem"].startswith("names nothing that CheckpointLoaderSimple (node 1) has:")
    assert "there are a.safetensors, b.ckpt" in error["problem"]
    assert door.post(body(content_of("comfyui")))[0] == 200
    assert sorted(door.wire.calls) == ["GetObject", "Publish", "PutItem", "PutItem", "UpdateItem"], "read once"


def test_without_a_catalog_the_servers_decide(platform, caplog):
    door = platform.door()
    assert [door.post(body(WRONG))[0] for _ in range(2)] == [200, 200]
    assert door.wire.calls.count("GetObject") == 1
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("data", [b"", b"{}", b"\x1f\x8b"])
def test_a_catalog_that_cannot_be_read_counts_as_none_and_is_logged_once(platform, bucket, caplog, data):
    bucket(data)
    door = platform.door()
    assert [door.post(body(WRONG))[0] for _ in range(2)] == [200, 200]
    assert sum("of runtime comfy have is not known" in record.message for record in caplog.records) == 1


def test_s3_that_fails_keeps_no_task_away(platform, bucket, caplog):
    bucket()
    door = platform.door()
    door.wire.cut("GetObject")
    assert door.post(body(WRONG))[0] == 200
    assert "of runtime comfy have is not known: ConnectionClosedError" in caplog.text


def test_no_task_that_names_nothing_of_the_servers_waits_for_the_catalog(platform):
    door = platform.door()
    content = {"prompt": "a", "steps": 2}
    sent = {"task": {"metadata": {"id": "a", "runtime": "sdruntime", "tasktype": "text-to-image"}, "content": content}}
    assert door.post(sent)[0] == 200
    assert "GetObject" not in door.wire.calls


def test_a_catalog_is_looked_for_again_soon_read_again_after_a_minute_and_trusted_for_eleven(platform, bucket):
    now_s = [time.time()]
    catalogs = live.LiveCatalogs(lambda: platform.aws.s3, platform.bucket, clock=lambda: now_s[0])
    assert catalogs.read("comfy") is None
    bucket()
    assert catalogs.read("comfy") is None
    now_s[0] += 6
    first = catalogs.read("comfy")
    assert first == CATALOG
    bucket()  # the same again
    now_s[0] += 61
    assert catalogs.read("comfy") is first, "what has not changed is not read again"
    now_s[0] += MAX_AGE_S
    assert catalogs.read("comfy") is None
