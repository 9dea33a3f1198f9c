"""Door, keeper and agent as they run on a deployment, each with the environment that the template gives it."""

import importlib
import json
import os
import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

from infrakit.stacks import INPUTS

from contract.queues import DEAD
from local.sandbox import ACCOUNT
from test.kit.processes import ChildProcess, answers, free_port, wait_for

DOOR, RETURNED, REAPER, AGENT = "door", "returned", "reaper", "agent"
"""Access keys of the parts, by which the record of calls tells them apart."""
TENANT = "key0id0000"


def handler_of(deployed, caller, handler, **extra):
    """A Lambda handler, loaded as Lambda does it: with the function's environment and role."""
    module, _, name = handler.rpartition(".")
    environment = deployed.cloud.environment(caller) | deployed.environment(handler) | extra
    sys.modules.pop(module, None)

    def call(event):
        # Some clients are made only when they are first needed.
        with mock.patch.dict(os.environ, environment):
            return getattr(loaded, name)(event, None)

    with mock.patch.dict(os.environ, environment):
        loaded = importlib.import_module(module)
    return call


class Door:
    """The door behind its gateway."""

    def __init__(self, deployed, config, folder):
        catalog = folder / "runtimes.json"
        catalog.write_text(config.catalog.to_json(), encoding="utf-8")
        self._handler = handler_of(deployed, DOOR, "api.handlers.handler", RUNTIMES_FILE=str(catalog))

    def post(self, body, path="/v1alpha2", **headers):
        """Status and body of the answer."""
        answer = self._handler(
            {
                "path": path,
                "httpMethod": "POST",
                "headers": {"Content-Type": "application/json", **headers},
                "body": json.dumps(body),
                "requestContext": {"identity": {"apiKeyId": TENANT}},
            }
        )
        return answer["statusCode"], json.loads(answer["body"])

    def submit(self, runtime, tasktype, content, task_id="t", **headers):
        """Post a task of the newer version; gives its job."""
        metadata = {"id": task_id, "runtime": runtime, "tasktype": tasktype}
        status, answer = self.post({"task": {"metadata": metadata, "content": content}}, **headers)
        assert status == 200, answer
        return answer["job"]


class Queues:
    """The queues of a deployment, as an operator sees them."""

    def __init__(self, deployed, config):
        self._sqs = deployed.cloud.client("sqs")
        self._endpoint = deployed.cloud.endpoint
        self._config = config

    def url(self, runtime, suffix=""):
        return f"{self._endpoint}/{ACCOUNT}/{self._config.queue_name(runtime)}{suffix}"

    def take(self, runtime, suffix=""):
        """Bodies of all messages of a queue, which is empty then."""
        url, bodies = self.url(runtime, suffix), []
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies

    def holders(self):
        """What all runtimes' own queues held, by runtime; they are empty then."""
        taken = {runtime.name: self.take(runtime.name) for runtime in self._config.models_runtime}
        return {name: bodies for name, bodies in taken.items() if bodies}


@contextmanager
def running_agent(deployed, config, runtime, folder):
    """A runtime's agent beside a stand-in; gives the agent's process."""
    server_url = f"http://127.0.0.1:{(port := free_port())}"
    server = ChildProcess(
        *("runtimes.standin", "--type", runtime.type, "--port", str(port), "--model", "base.safetensors"),
        log=folder / "server.log",
        endpoint=deployed.cloud.endpoint,
    )
    queues = Queues(deployed, config)
    agent = ChildProcess(
        "queue_agent",
        log=folder / "agent.log",
        endpoint=deployed.cloud.endpoint,
        AWS_ACCESS_KEY_ID=AGENT,
        SQS_QUEUE_URL=queues.url(runtime.name),
        SQS_DEAD_QUEUE_URL=queues.url(runtime.name, DEAD.suffix),
        SNS_TOPIC_ARN=deployed.id_of("NoticesTopic"),
        S3_BUCKET=deployed.id_of("OutputBucket"),
        INPUT_BUCKETS=INPUTS,
        RUNTIME_TYPE=runtime.type,
        RUNTIME_NAME=runtime.name,
        API_BASE_URL=f"{server_url}/sdapi/v1/",
        JOBS_TABLE=deployed.id_of("JobsTable"),
    )
    with ExitStack() as undo:
        for process in (server, agent):
            undo.callback(process.kill)
            process.start()
        wait_for(lambda: answers(f"{server_url}/sdapi/v1/memory"), "the stand-in")
        yield agent
