import contextlib
import io
import json
import os
import signal
from typing import Any

import httpx
import pytest
from PIL import Image

from configuration.file import load_config
from contract.objects import split_s3_url
from contract.signatures import webhook_secret
from deploy.verify.samples import samples_of
from deploy.verify.verification import verify
from local.api_key import API_KEY_ID
from test.kit.notices import NoticeQueue
from test.kit.processes import ROOT
from test.kit.web import is_signed, posts_answered


def test_every_sample_gives_a_picture_that_opens(platform: Any) -> None:
    samples = samples_of(load_config(ROOT / "config.yaml").catalog)
    outcomes = list(verify(platform.target, samples, wait_s=60))
    assert [outcome.problem for outcome in outcomes] == [None] * 6
    sizes = {}
    for outcome in outcomes:
        (picture,) = outcome.pictures
        with Image.open(io.BytesIO(picture.content)) as image:
            image.load()
            sizes[outcome.request.task_type] = image.size
    assert set(sizes) == {"text-to-image", "image-to-image", "extra-single-image", "pipeline"}
    assert sizes["text-to-image"] == (512, 512)
    assert sizes["extra-single-image"] == (2048, 2048)


def test_the_notice_has_the_context_and_the_urls_of_pictures_and_manifest(platform: Any, notices: NoticeQueue) -> None:
    context = {"user": "Zoë", "numbers": [1, 2.5, True, None], "deep": {"deeper": {}}}
    prompt = "a dog, " + "very " * 60_000 + "happy"  # more than fits into a message
    answer, notice = platform.draw(notices, context=context, batch_size=2, prompt=prompt)
    assert (notice.result, notice.status, notice.error) == (True, "succeeded", None)
    assert (notice.context, notice.job, notice.runtime) == (context, answer["job"], "sdruntime")
    assert len(notice.image_url) == 2
    assert all(url.startswith(answer["output_location"] + "/") for url in (*notice.image_url, notice.output_url))
    bucket, key = split_s3_url(notice.output_url)
    manifest = json.loads(platform.target.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert manifest["parameters"]["prompt"] == prompt


@pytest.mark.parametrize("part", ["queue_agent sdruntime", "runtimes.standin sdwebui", "local.door"])
def test_a_part_that_dies_is_restarted_and_tasks_are_done(platform: Any, notices: NoticeQueue, part: str) -> None:
    pid = platform.part_pids()[part]
    os.kill(pid, signal.SIGKILL)
    platform.until(lambda: platform.part_pids().get(part, pid) != pid)

    def answer() -> Any:
        with contextlib.suppress(httpx.ConnectError):  # the door is not back yet
            return platform.post(platform.text_to_image())
        return None

    notice = platform.wait_for_notice(notices, platform.until(answer).json()["id_task"])
    assert notice.result is True


def test_each_part_has_a_log_without_the_key_or_prompts(platform: Any, notices: NoticeQueue) -> None:
    platform.draw(notices, prompt="an unmistakable walrus")
    logs = {path.stem: path.read_text() for path in (platform.state / "logs").glob("*.log")}
    pods = {f"{runtime}-{part}" for runtime in ("sdruntime", "comfyruntime") for part in ("server", "agent")}
    assert set(logs) == {"aws", "courier", "door", "keeper", "notices", *pods}
    for log in logs.values():
        assert platform.target.api_key not in log
        assert "walrus" not in log
    assert platform.output.count(platform.target.api_key) == 3  # as the key, a variable, and in the curl line


def test_a_webhook_is_told_of_its_job_and_signed_with_the_secret_of_its_key(platform: Any) -> None:
    received: list[Any] = []

    def receive(path: str, headers: Any, body: bytes) -> Any:
        received.append((headers, body))
        return 200, {}, b""

    with posts_answered(receive) as url:
        job = {"runtime": "sdruntime", "type": "text-to-image", "content": {"prompt": "a dog"}, "webhook": {"url": url}}
        headers = {"x-api-key": platform.target.api_key}
        answer = httpx.post(f"{platform.target.endpoint}/v1/jobs", json=job, headers=headers)
        assert answer.status_code == 202
        platform.until(lambda: received)
    headers, body = received[0]
    root = (platform.state / "signing-secret").read_text().strip()
    assert is_signed(webhook_secret(root, API_KEY_ID, 1), headers, body)
    data = json.loads(body)["data"]
    assert (data["job"], data["state"], len(data["images"])) == (answer.json()["job"], "succeeded", 1)
