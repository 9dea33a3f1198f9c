"""A platform that keeps its data is killed as a whole, at random; no job is lost, and none ends twice."""

import io
import itertools
import json
import os
import random
import re
import signal
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from local.aws import COURIER_QUEUE, OUTPUT_BUCKET, queue_url
from test.kit.processes import free_port, wait_for
from test.kit.rig import SHORT_VISIBILITY_S
from test.kit.up import LocalUp
from test.kit.web import posts_answered

pytestmark = pytest.mark.concurrent

LONG_KILLS = int(os.environ.get("FAULTS_BOX_KILLS", "200"))
CONFIG = """\
stackName: box
modelBucketArn: arn:aws:s3:::models
APIGW: {stageName: prod, throttle: {rateLimit: 1000, burstLimit: 1000}}
webhooks: {allowPrivateAddresses: true}
modelsRuntime:
  - {name: only, namespace: only, type: sdwebui, dynamicModel: true}
"""
ENDINGS_S = 600.0
"""For a delivery that was being made at a kill, the keeper's repetitions, and a slow machine."""
MAX_ATTEMPTS = 5
FEEDERS = 3
BACKLOG = 6
PAUSE_S = 0.1
JOB_S = 1.2
"""Of a job that is drawn: nearly every kill hits one."""
DURING_START = 4
"""Every fourth kill may come before it works."""


class Box:
    """A platform with one folder, on ports that stay; ``ended`` is what webhooks said of the ends of jobs."""

    def __init__(self, folder):
        self._folder = folder
        self._random = random.Random(f"box {os.environ.get('FAULTS_SEED', '20240607')}")
        self.hook = ""
        self._port, self.aws_port = free_port(), free_port()
        self.api = f"http://127.0.0.1:{self._port}/prod/v1"
        self.ended = defaultdict(list)
        self.accepted = {}
        self.kills = 0
        folder.mkdir()
        (folder / "config.yaml").write_text(CONFIG)
        self.http = httpx.Client(trust_env=False, timeout=60)
        self._up = None

    def start(self):
        """Start it; messages in it come back soon after their readers' death."""
        options = (f"--config={self._folder / 'config.yaml'}", f"--port={self._port}", f"--aws-port={self.aws_port}")
        self._up = LocalUp(self._folder / "data", *options, keeps=True)

    def wait_ready(self):
        """Wait until it works."""
        self._shorten_leases()
        self._up.wait_ready()
        self.http.headers["x-api-key"] = self._up.stack["ApiKey"]
        (stand_in,) = re.findall(r"stand-in for sdwebui at (\S+)", self._up.output)
        self.http.post(f"{stand_in}/_standin/faults", json={"job_s": JOB_S}).raise_for_status()

    def kill(self):
        """Kill everything at once."""
        os.kill(self._up.process.pid, signal.SIGKILL)  # its parts die with it
        self._up.process.wait()
        self.kills += 1

    def end(self):
        """End it as Ctrl-C does."""
        return self._up.end(signal.SIGINT)

    def receive(self, _path, _headers, body):
        """What the receiver of webhooks does."""
        told = json.loads(body)
        if told["type"] == "job.completed":
            self.ended[told["data"]["job"]].append(told)
        return 200, {}, b""

    def submit(self, number):
        """Submit a job under a key of its own, and again with the same key until there is an answer."""
        content = {"prompt": f"number {number}", "seed": number, "steps": 40, "width": 64, "height": 64}
        body = {"runtime": "only", "type": "text-to-image", "id": f"box-{number}", "content": content}
        body["webhook"] = {"url": self.hook}
        while True:
            try:
                answer = self.http.post(f"{self.api}/jobs", json=body, headers={"Idempotency-Key": f"box-{number}"})
            except httpx.HTTPError:
                answer = None
            if answer is not None and answer.status_code in (200, 202):
                self.accepted[number] = answer.json()["job"]
                return
            assert answer is None or answer.status_code >= 500, answer.text
            time.sleep(0.2)

    def kill_at_random(self, kills):
        """Kill it so many times, while callers submit."""
        over = threading.Event()
        with ThreadPoolExecutor(FEEDERS) as pool:
            feeders = [pool.submit(self._feed, over, first) for first in range(FEEDERS)]
            try:
                for number in range(kills):
                    known = len(self.ended)
                    if number % DURING_START:
                        self.wait_ready()
                        wait_for(lambda: len(self.ended) > known, "a job to end", ENDINGS_S)  # noqa: B023
                    time.sleep(self._random.uniform(0, 3))
                    self.kill()
                    self.start()
                self.wait_ready()
            finally:
                over.set()
            for feeder in feeders:
                feeder.result()

    def job(self, number):
        """A job, from the API."""
        return self.http.get(f"{self.api}/jobs/{self.accepted[number]}").raise_for_status().json()

    def wait_for_endings(self):
        """Wait until each accepted job has ended, and its webhook has come."""

        def left():
            return {number: job for number, job in self.accepted.items() if job not in self.ended}

        wait_for(lambda: not left(), lambda: [self.job(number) for number in left()], ENDINGS_S, every_s=0.5)

    def _feed(self, over, first):
        for number in itertools.count(first, FEEDERS):
            self.submit(number)
            while len(self.accepted) >= len(self.ended) + BACKLOG and not over.wait(PAUSE_S):
                pass
            if over.is_set():
                return

    def _access_key(self):
        """The key of this start's AWS, from its environment."""
        pid = self._up.until(lambda: self._up.part_pids().get("local.aws_server"))
        words = Path(f"/proc/{pid}/environ").read_text().split("\0")
        (key,) = [word.partition("=")[2] for word in words if word.startswith("AWS_ACCESS_KEY_ID=")]
        return key

    def _shorten_leases(self):
        """Make messages visible again sooner; agents read how soon when they start, a second after AWS."""
        endpoint = f"http://127.0.0.1:{self.aws_port}"
        keys = {"aws_access_key_id": self._access_key(), "aws_secret_access_key": "local", "region_name": "us-east-1"}
        once = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10)
        sqs = boto3.Session(**keys).client("sqs", endpoint_url=endpoint, config=once)

        def shortened():
            try:
                for name in ("only", COURIER_QUEUE):
                    attributes = {"VisibilityTimeout": str(SHORT_VISIBILITY_S)}
                    sqs.set_queue_attributes(QueueUrl=queue_url(endpoint, name), Attributes=attributes)
            except (BotoCoreError, ClientError):
                return False
            return True

        self._up.until(shortened)


def check(box):
    """Check that each accepted job succeeded, once, with its picture."""
    listed = []
    cursor = {}
    while True:
        page = box.http.get(f"{box.api}/jobs", params={"limit": 100, **cursor}).raise_for_status().json()
        listed += [job["job"] for job in page["jobs"]]
        if not page.get("next"):
            break
        cursor = {"cursor": page["next"]}
    assert sorted(listed) == sorted(box.accepted.values()), (
        "jobs are missing, or there are some that nobody was told of"
    )
    denied = httpx.get(f"http://127.0.0.1:{box.aws_port}/{OUTPUT_BUCKET}", trust_env=False)
    assert denied.status_code == 403, "what follows a caller's link reads the bucket"
    attempts = 0
    for number, job_id in box.accepted.items():
        job = box.job(number)
        assert job["state"] == "succeeded", job
        assert job["attempts"] <= MAX_ATTEMPTS, job
        attempts += job["attempts"]
        (image,) = job["images"]
        data = httpx.get(image["url"], trust_env=False, timeout=60, follow_redirects=False).raise_for_status().content
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.size == (64, 64)
        assert {told["data"]["ended_at"] for told in box.ended[job_id]} == {job["ended_at"]}, "it ended twice"
    return attempts


@pytest.mark.parametrize("kills", [3, pytest.param(LONG_KILLS, marks=pytest.mark.slow)])
def test_no_job_is_lost_and_none_ends_twice_although_everything_is_killed_at_random(kit, kills):
    box = Box(kit.folder / f"box-{kills}")
    with posts_answered(box.receive) as box.hook:
        box.start()
        box.wait_ready()
        box.kill_at_random(kills)
        box.wait_for_endings()
        attempts = check(box)
        assert box.end() == 0
    jobs, notices = len(box.accepted), sum(map(len, box.ended.values()))
    return f"{box.kills} kills, {jobs} jobs, {attempts - jobs} attempts beyond one each, {notices} webhooks"
