import contextlib
import io
import json
import os
import secrets
import signal
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from contract.objects import split_s3_url
from deploy.verify.notices import NoticeQueue
from deploy.verify.verification import verify
from local.aws import TASK_TOPIC_ARN


def test_every_sample_comes_back_as_a_picture_that_opens(platform: Any, samples: list[Any]) -> None:
    outcomes = list(verify(platform.target, samples, wait_s=60))
    assert {outcome.request.task_type: outcome.problem for outcome in outcomes} == {
        "text-to-image": None,
        "image-to-image": None,
        "extra-single-image": None,
        "pipeline": None,
    }
    assert [outcome.problem for outcome in outcomes] == [None] * 6
    sizes = {}
    for outcome in outcomes:
        (picture,) = outcome.pictures
        with Image.open(io.BytesIO(picture.content)) as image:
            image.load()
            sizes[outcome.request.task_type] = image.size
    assert sizes["text-to-image"] == (512, 512)
    assert sizes["extra-single-image"] == (2048, 2048)


def test_the_notice_says_whose_it_is_and_gives_the_context_back(platform: Any, notices: NoticeQueue) -> None:
    context = {"user": "Zoë", "numbers": [1, 2.5, True, None], "deep": {"deeper": {}}}
    answer, notice = platform.draw(notices, context=context)
    assert notice.result is True
    assert notice.status == "succeeded"
    assert notice.context == context
    assert notice.job == answer["job"]
    assert notice.runtime == "sdruntime"
    assert notice.error is None


def test_pictures_and_answer_lie_at_the_output_location(platform: Any, notices: NoticeQueue) -> None:
    answer, notice = platform.draw(notices, batch_size=2)
    assert len(notice.image_url) == 2
    for url in (*notice.image_url, notice.output_url):
        assert url.startswith(answer["output_location"] + "/")
    bucket, key = split_s3_url(notice.output_url)
    manifest = json.loads(platform.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert manifest["parameters"]["prompt"] == "a dog"


def test_content_too_large_for_a_message_makes_a_picture_too(platform: Any, notices: NoticeQueue) -> None:
    _, notice = platform.draw(notices, prompt="a dog, " + "very " * 60_000 + "happy")
    assert notice.result is True


@pytest.fixture
def published(platform: Any) -> Iterator[Any]:
    """A queue that gets a copy of every task published."""
    sns, sqs = platform.target.client("sns"), platform.target.client("sqs")
    url = sqs.create_queue(QueueName=f"published-{secrets.token_hex(4)}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = sns.subscribe(TopicArn=TASK_TOPIC_ARN, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)
    yield lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", [])
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


def test_every_bad_request_is_refused_in_one_shape_and_reaches_no_topic(platform: Any, published: Any) -> None:
    key = {"x-api-key": platform.target.api_key}
    url = f"{platform.target.endpoint}/v1alpha2"
    good = platform.text_to_image()
    unknown_runtime = platform.text_to_image(runtime="elsewhere")
    hostile_prefix = platform.text_to_image()
    hostile_prefix["task"]["metadata"]["prefix"] = "../../_tasks"
    bad = [
        (401, httpx.post(url, json=good)),
        (401, httpx.post(url, json=good, headers={"x-api-key": "wrong"})),
        (405, httpx.get(url, headers=key)),
        (405, httpx.put(url, json=good, headers=key)),
        (415, httpx.post(url, content=json.dumps(good), headers={**key, "Content-Type": "text/plain"})),
        (400, httpx.post(url, content=b"{", headers={**key, "Content-Type": "application/json"})),
        (400, httpx.post(url, json={}, headers=key)),
        (400, httpx.post(url, json=unknown_runtime, headers=key)),
        (400, httpx.post(url, json=hostile_prefix, headers=key)),
        (404, httpx.post(f"{platform.target.endpoint}/v9", json=good, headers=key)),
        (403, httpx.post(url.replace("/dev/", "/prod/"), json=good, headers=key)),
        (413, httpx.post(url, content=b"x" * 7_000_000, headers={**key, "Content-Type": "application/json"})),
    ]
    assert [answer.status_code for _, answer in bad] == [status for status, _ in bad]
    for _, answer in bad:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert set(answer.json()) == {"error"}
        assert set(answer.json()["error"]) == {"code", "message", "details"}
    assert published() == []
    assert platform.post(good).status_code == 200
    assert len(published()) == 1


@pytest.mark.parametrize("part", ["queue_agent sdruntime", "runtimes.standin sdwebui", "local.door"])
def test_a_part_that_dies_is_started_again_and_tasks_are_done(platform: Any, notices: NoticeQueue, part: str) -> None:
    pid = platform.part_pids()[part]
    os.kill(pid, signal.SIGKILL)
    platform.until(lambda: platform.part_pids().get(part, pid) != pid)

    def answer() -> Any:
        with contextlib.suppress(httpx.ConnectError):  # the door is not back yet
            return platform.post(platform.text_to_image())
        return None

    notice = platform.wait_for_notice(notices, platform.until(answer).json()["id_task"])
    assert notice.result is True


def test_the_logs_name_every_part_and_hold_neither_key_nor_prompt(platform: Any, notices: NoticeQueue) -> None:
    platform.draw(notices, prompt="an unmistakable walrus")
    logs = {path.stem: path.read_text() for path in (platform.state / "logs").glob("*.log")}
    assert set(logs) == {
        "aws",
        "door",
        "keeper",
        "notices",
        "sdruntime-server",
        "sdruntime-agent",
        "comfyruntime-server",
        "comfyruntime-agent",
    }
    for log in logs.values():
        assert platform.target.api_key not in log
        assert "walrus" not in log
    assert platform.output.count(platform.target.api_key) == 2  # the API key, and the curl line
    assert "door " in platform.output
