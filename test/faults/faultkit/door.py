"""The front door as a process, before one runtime's queue."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
from faultkit.processes import Child, free_port, wait_for
from faultkit.runtime import TASKTYPES

from contract.catalog import DeployedRuntime, RuntimeCatalog
from contract.routing import subscription_filter
from local.sandbox import ACCOUNT, REGION

_KEY, _STAGE = "soak", "prod"
_CALLERS = 4


class Door:
    """The door with its topic, to which the runtime's queue is subscribed as in a deployment."""

    def __init__(self, runtime):
        self._runtime = runtime
        deployed = DeployedRuntime(name=runtime.name, type=runtime.type, dynamic_model=runtime.type == "sdwebui")
        catalog = RuntimeCatalog([deployed])
        file = runtime.folder / f"{runtime.name}-runtimes.json"
        file.write_text(catalog.to_json(), encoding="utf-8")
        topic = runtime.aws.sns.create_topic(Name=f"tasks-{runtime.name}")["TopicArn"]
        runtime.aws.sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:tasks-{runtime.name}",
            Attributes={"FilterPolicy": json.dumps(subscription_filter(deployed, catalog))},
        )
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        limits = ("--rate-limit", "10000", "--burst-limit", "10000")
        self._door = Child(
            *("-m", "local.door", "--port", str(port), "--stage", _STAGE, *limits),
            log=runtime.folder / f"{runtime.name}-door.log",
            endpoint=runtime.aws.url,
            API_KEY=_KEY,
            TASK_TOPIC_ARN=topic,
            OUTPUT_BUCKET=runtime.bucket,
            JOBS_TABLE=runtime.table.name,
            RUNTIMES_FILE=str(file),
        )

    def open(self):
        self._door.start()
        wait_for(self._answers, lambda: f"the door; log:\n{self._door.log}")

    def close(self):
        self._door.kill()

    def submit_all(self, orders):
        """Post many tasks, several at a time; each is an id, its content and its metadata."""
        with httpx.Client(base_url=self._url, headers={"x-api-key": _KEY}, timeout=30, trust_env=False) as client:

            def post(order):
                task_id, content, metadata = order
                metadata = {"id": task_id, "runtime": self._runtime.name, "tasktype": self._tasktype, **metadata}
                return client.post(f"/{_STAGE}/v1alpha2", json={"task": {"metadata": metadata, "content": content}})

            with ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller") as callers:
                for answer in callers.map(post, orders):
                    assert answer.status_code == 200, answer.text

    @property
    def _tasktype(self):
        return TASKTYPES[self._runtime.type]

    def _answers(self):
        try:
            return httpx.get(f"{self._url}/{_STAGE}/v1alpha2", timeout=2, trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False
