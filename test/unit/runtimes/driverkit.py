"""What tests of drivers share."""

import contextlib
import json

from aiohttp import web
from aiohttp.test_utils import TestServer

from contract.task import Task
from queue_agent.ports import RunSignals
from runtimes._http import Answer, ModelServerClient

JOB = "01a1fbd3-be07-75d4-8441-81dd5d036ae5"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def task_of(content, tasktype="text-to-image", **metadata):
    """A task with a content."""
    metadata = {"id": "a", "runtime": "r", "tasktype": tasktype, **metadata}
    return Task.model_validate({"metadata": metadata, "content": content})


def signals(said):
    """Signals that note in a list when a job has begun, with its batch, and when the GPU is free."""
    return RunSignals(lambda batch=None: said.append(("started", batch)), lambda: said.append("freed"))


def answer(status, body):
    """An answer of a model server."""
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())


@contextlib.asynccontextmanager
async def client_of(*routes, path="/"):
    """A client of a model server that has some routes."""
    app = web.Application(client_max_size=2**30)
    app.add_routes(routes)
    async with TestServer(app) as running:
        client = ModelServerClient(str(running.make_url(path)), "/health")
        try:
            yield client
        finally:
            await client.aclose()
