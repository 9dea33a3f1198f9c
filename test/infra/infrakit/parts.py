"""Door, keeper and agent as they run on a deployment, each with the environment that the template gives it."""

import importlib
import json
import os
import sys
from contextlib import ExitStack, contextmanager
from unittest import mock

from infrakit.stacks import INPUTS

from contract.queues import DEAD
from test.kit.processes import ChildProcess, answers, free_port, wait_for

DOOR, RETURNED, REAPER, AGENT = "door", "returned", "reaper", "agent"
"""Access keys of the parts, by which the record of calls tells them apart."""
TENANT = "key0id0000"


def handler_of(deployed, caller, handler, **extra):
    """A Lambda handler, loaded as Lambda does it: with the function's environment and role."""
    module, _, name = handler.rpartition(".")
    function, _ = deployed.stack.only("AWS::Lambda::Function", Handler=handler)
    environment = deployed.environment(caller) | deployed.filled(function)["Environment"]["Variables"] | extra
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

    def __init__(self, deployed, folder):
        catalog = folder / "runtimes.json"
        catalog.write_text(deployed.stack.config.catalog.to_json(), encoding="utf-8")
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


STEP_S = 3
"""A step of the agent's model server: after 2 s agents ask whether a job is to be cancelled."""


@contextmanager
def running_agent(deployed, runtime, folder):
    """A runtime's agent beside a stand-in; gives the agent's process."""
    server_url = f"http://127.0.0.1:{(port := free_port())}"
    server = ChildProcess(
        *("runtimes.standin", "--type", runtime.type, "--port", str(port)),
        *("--model", "base.safetensors", "--step-s", str(STEP_S)),
        log=folder / "server.log",
        endpoint=deployed.endpoint,
    )
    agent = ChildProcess(
        "queue_agent",
        log=folder / "agent.log",
        endpoint=deployed.endpoint,
        AWS_ACCESS_KEY_ID=AGENT,
        SQS_QUEUE_URL=deployed.queue_url(runtime.name),
        SQS_DEAD_QUEUE_URL=deployed.queue_url(runtime.name, DEAD.suffix),
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
