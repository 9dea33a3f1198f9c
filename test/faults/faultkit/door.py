"""The front door and the keeper as processes, before one runtime's queue and behind it."""

import contextlib
import json
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
from faultkit.processes import Child, free_port, wait_for
from faultkit.runtime import TASKTYPES

from configuration.routing import subscription_filter
from local.aws import returned_queue_name
from local.sandbox import ACCOUNT, REGION
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

_KEY, _STAGE = "key", "prod"
_PATH = f"/{_STAGE}/v1alpha2"
_CALLERS = 4


class Door:
    """The door with its topic, to which the runtime's queue is subscribed as in a deployment.

    Args:
        runtime: What it accepts tasks for.
        aws_url: Where it reaches AWS, if not directly.
    """

    def __init__(self, runtime, aws_url=None):
        self._runtime = runtime
        deployed = DeployedRuntime(name=runtime.name, type=runtime.type, dynamic_model=runtime.type == "sdwebui")
        catalog = RuntimeCatalog([deployed])
        file = runtime.folder / f"{runtime.name}-runtimes.json"
        file.write_text(catalog.to_json(), encoding="utf-8")
        self._topic = runtime.aws.sns.create_topic(Name=f"tasks-{runtime.name}")["TopicArn"]
        runtime.aws.sns.subscribe(
            TopicArn=self._topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:tasks-{runtime.name}",
            Attributes={"FilterPolicy": json.dumps(subscription_filter(deployed, catalog))},
        )
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        limits = ("--rate-limit", "10000", "--burst-limit", "10000")
        self._door = Child(
            *("-m", "local.door", "--host", "127.0.0.1", "--port", str(port), "--stage", _STAGE, *limits),
            log=runtime.folder / f"{runtime.name}-door.log",
            endpoint=aws_url or runtime.aws.url,
            API_KEY=_KEY,
            RUNTIMES_FILE=str(file),
            **self._places,
        )
        self._keeper = Child(
            *("-m", "local.keeper", "--runtimes", str(file)),
            log=runtime.folder / f"{runtime.name}-keeper.log",
            endpoint=runtime.aws.url,
            NOTICE_TOPIC_ARN=runtime.notice_topic,
            START_TIMEOUT_S="86400",
            **self._places,
        )

    def open(self):
        self._door.start()
        wait_for(self._answers, lambda: f"the door; log:\n{self._door.log}")

    def open_again(self):
        """Start another one, after one was killed."""
        self._door.wait(10)
        self.open()

    def close(self):
        self._door.kill()
        self._keeper.kill()

    def die(self):
        """Kill it, as nothing in it could notice."""
        self._door.send(signal.SIGKILL)

    def start_keeper(self):
        """Start what publishes again what the door did not, and ends what nobody else ends."""
        self._runtime.aws.sqs.create_queue(QueueName=returned_queue_name(self._runtime.name))
        self._keeper.start()

    def submit(self, task_id, content, metadata, *, key=None):
        """Post one task; returns the answer, or None where the connection breaks off."""
        headers = {"x-api-key": _KEY, **({"Idempotency-Key": key} if key else {})}
        body = self._body(task_id, content, metadata)
        with contextlib.suppress(httpx.TransportError):
            return httpx.post(f"{self._url}{_PATH}", json=body, headers=headers, timeout=30, trust_env=False)
        return None

    def submit_all(self, orders):
        """Post many tasks, several at a time; each is an id, its content and its metadata."""
        with httpx.Client(base_url=self._url, headers={"x-api-key": _KEY}, timeout=30, trust_env=False) as client:

            def post(order):
                return client.post(_PATH, json=self._body(*order))

            with ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller") as callers:
                for answer in callers.map(post, orders):
                    assert answer.status_code == 200, answer.text

    @property
    def _places(self):
        names = {"OUTPUT_BUCKET": self._runtime.bucket, "JOBS_TABLE": self._runtime.table.name}
        return {"TASK_TOPIC_ARN": self._topic, **names}

    def _body(self, task_id, content, metadata):
        tasktype = TASKTYPES[self._runtime.type]
        metadata = {"id": task_id, "runtime": self._runtime.name, "tasktype": tasktype, **metadata}
        return {"task": {"metadata": metadata, "content": content}}

    def _answers(self):
        try:
            return httpx.get(f"{self._url}{_PATH}", timeout=2, trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False
