"""Door, keeper and agent as they run on a deployment, each with the environment that the template gives it."""

import importlib
import json
import os
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from unittest import mock
from urllib.parse import parse_qsl

from infrakit.stacks import INPUTS

from api.services import Services
from api.stream_handler import StreamingShell
from contract.queues import DEAD
from test.kit.processes import ChildProcess, answers, free_port, wait_for

DOOR, STREAM, RETURNED, REAPER, AGENT = "door", "stream", "returned", "reaper", "agent"
DELIVER, CHANGES = "deliver", "changes"
"""Access keys of the parts, by which the record of calls tells them apart."""
TENANT = "key0id0000"


def environment_of(deployed, caller, handler, **extra):
    """The environment of a function, which leads to the deployment as its role."""
    function, _ = deployed.stack.only("AWS::Lambda::Function", Handler=handler)
    return deployed.environment(caller) | deployed.filled(function)["Environment"]["Variables"] | extra


def handler_of(deployed, caller, handler, **extra):
    """A Lambda handler, loaded as Lambda does it: with the function's environment and role."""
    module, _, name = handler.rpartition(".")
    environment = environment_of(deployed, caller, handler, **extra)
    sys.modules.pop(module, None)

    def call(event):
        # Some clients are made only when they are first needed.
        with mock.patch.dict(os.environ, environment):
            return getattr(loaded, name)(event, None)

    with mock.patch.dict(os.environ, environment):
        loaded = importlib.import_module(module)
    return call


@contextmanager
def running_function(deployed, runtime, folder):
    """A runtime's agent as Lambda runs it: with the template's environment, its messages, and a stand-in of Bedrock."""
    name, _ = deployed.stack.only("AWS::Lambda::Function", Description=f"Queue agents of runtime {runtime}")
    port, source = free_port(), {"urls": [deployed.queue_url(runtime)]}
    standin = ChildProcess(
        *("runtimes.standin", "--type", "bedrock", "--port", str(port), "--job-s", str(STEP_S)),
        log=folder / "service.log",
        endpoint=deployed.endpoint,
    )
    environment = deployed.filled(name)["Environment"]["Variables"]
    agent = ChildProcess(
        "test.kit.event_source",
        log=folder / "function.log",
        endpoint=deployed.endpoint,
        **environment,
        AWS_ACCESS_KEY_ID=AGENT,
        AWS_ENDPOINT_URL_BEDROCK_RUNTIME=f"http://127.0.0.1:{port}",
        EVENT_SOURCE=json.dumps(source),
    )
    with ExitStack() as undo:
        for process in (standin, agent):
            undo.callback(process.kill)
            process.start()
        yield agent


def event_of(method, path, body=None, headers=None):
    """API Gateway's event of a request."""
    path, _, query = path.partition("?")
    return {
        "path": path,
        "queryStringParameters": dict(parse_qsl(query)),
        "httpMethod": method,
        "headers": {"Content-Type": "application/json", "Host": "api.example", **(headers or {})},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "requestContext": {"identity": {"apiKeyId": TENANT}},
    }


class Door:
    """The API's functions behind their gateway."""

    def __init__(self, deployed, folder):
        catalog = folder / "runtimes.json"
        catalog.write_text(deployed.stack.config.catalog.to_json(), encoding="utf-8")
        self._deployed, self._extra = deployed, {"RUNTIMES_FILE": str(catalog)}
        self._handler = handler_of(deployed, DOOR, "api.handlers.handler", **self._extra)

    def ask(self, method, path, body=None, **headers):
        """Status and body of the answer."""
        answer = self._handler(event_of(method, path, body, headers))
        return answer["statusCode"], json.loads(answer["body"] or "null")

    def download(self, path):
        """The bytes to which the API sends a caller on."""
        answer = self._handler(event_of("GET", path))
        assert answer["statusCode"] == 303, answer
        with urllib.request.urlopen(answer["headers"]["Location"]) as response:
            return response.read()

    def stream(self, method, path, body=None, until=b"", **headers):
        """Status, headers and body of an answer of the function that streams, read until a word has come; None: not."""
        environment = environment_of(self._deployed, STREAM, "api.stream_handler.main", **self._extra)
        with mock.patch.dict(os.environ, environment):
            shell = StreamingShell(Services.from_environment(environment))
            answer = shell.respond(event_of(method, path, body, headers))
            pieces = iter(answer.pieces)
            read = b"" if until is None else next(pieces)
            while until is not None and until not in read:
                read += next(pieces)
            return answer.status, answer.headers, read

    def post(self, body, path="/v1alpha2", **headers):
        """Status and body of the answer."""
        return self.ask("POST", path, body, **headers)

    def submit(self, runtime, tasktype, content, task_id="t", **headers):
        """Post a task of the newer version; gives its job."""
        metadata = {"id": task_id, "runtime": runtime, "tasktype": tasktype}
        status, answer = self.post({"task": {"metadata": metadata, "content": content}}, **headers)
        assert status == 200, answer
        return answer["job"]


STEP_S = 3
"""A step of the model server, or a call of the service: after 2 s agents ask whether a job is to be cancelled."""


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
