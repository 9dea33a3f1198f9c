"""The model server as a real process with the painting pipeline, and helpers to query it over HTTP."""

import asyncio
import base64
import contextlib
import io
import json
import os
import subprocess
import sys
import time
import uuid
from functools import cache
from pathlib import Path

import httpx
import pytest
from PIL import Image

PATIENCE_S = 120
GENERATION = {"prompt": "a fox", "seed": 7, "width": 64, "height": 64}


class Server:
    """A running server; ``faults`` sets the faults from its next batch on."""

    def __init__(self, folder, values, faults):
        self._fault_file, self._log_file = folder / "faults.json", folder / "log.jsonl"
        self.faults(**faults)
        options = {name: value for name, value in values.items() if not name.isupper()}
        settings = {
            "MODEL_OPTIONS": json.dumps({"profile": "flux-schnell", **options}),
            "PIPELINE": "runtimes.flux.standin.painting:load",
            "HOST": "127.0.0.1",
            "PORT": 0,
            "STANDIN_STEP_SECONDS": 0.02,
            "STANDIN_FAULTS": self._fault_file,
            **{name: value for name, value in values.items() if name.isupper()},
        }
        environment = os.environ | {key: str(value) for key, value in settings.items()}
        with self._log_file.open("wb") as log:
            command = [sys.executable, "-m", "runtimes.flux.server"]
            self.process = subprocess.Popen(command, env=environment, stderr=log)

    def wait_until_it_listens(self):
        self.url = f"http://127.0.0.1:{self.wait_for_log('the server listens')['port']}"
        # A kept connection would belong to the event loop of one test.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_S, limits=limits)

    def faults(self, **faults):
        self._fault_file.write_text(json.dumps(faults))

    @staticmethod
    def wait_for(condition):
        """Return the condition's first true value."""
        end = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < end, "the condition did not become true"
            time.sleep(0.02)
        return found

    @property
    def log(self):
        return [json.loads(line) for line in self._log_file.read_text().splitlines()]

    def wait_for_log(self, message):
        return self.wait_for(lambda: next((line for line in self.log if line["message"] == message), None))

    def health(self):
        return httpx.get(f"{self.url}/health").json()

    def wait_until_ready(self):
        """Wait until all workers are ready."""
        self.wait_for(lambda: {worker["state"] for worker in self.health()["workers"]} == {"ready"})

    def workers(self):
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
        return [pid for pid, line in lines.items() if "runtimes.flux.server.worker" in line]

    def metrics(self):
        lines = httpx.get(f"{self.url}/metrics").text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    async def generate(self, prompt="a fox", **values):
        return await self.http.post("/generate", json={**GENERATION, "prompt": prompt, **values})

    async def post_job(self, prompt="a fox", **values):
        body = {"task_type": "text-to-image", "request": {**GENERATION, "prompt": prompt, **values}}
        answer = await self.http.post("/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    async def job(self, job_id):
        return (await self.http.get(f"/jobs/{job_id}")).json()

    async def output(self, job_id, number=1):
        return await self.http.get(f"/jobs/{job_id}/outputs/{number}")

    async def delete(self, job_id):
        return (await self.http.delete(f"/jobs/{job_id}")).status_code

    async def events(self, job_id):
        """Yield each event of a job until its end."""
        async with self.http.stream("GET", f"/jobs/{job_id}/events") as stream:
            kind = ""
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield kind, json.loads(line.removeprefix("data: "))

    async def until(self, job_id, kind, state=None):
        """Wait for an event, and for a state if given."""
        async with contextlib.aclosing(self.events(job_id)) as events:
            async for found, content in events:
                if found == kind and state in {None, content.get("state")}:
                    return content
        raise AssertionError(f"no {kind} came")

    async def end(self, *job_ids):
        """Wait for the end of each job."""
        ended = await asyncio.gather(*(self.until(job_id, "end") for job_id in job_ids))
        return ended if len(ended) > 1 else ended[0]


@contextlib.contextmanager
def servers(tmp_path_factory):
    """Starts servers, ready by default. Names in capitals are environment variables, others are the model's options."""
    with contextlib.ExitStack() as stack:

        def start(*, ready=True, faults=None, **values):
            server = Server(tmp_path_factory.mktemp("server"), values, faults or {})
            stack.callback(server.process.wait)
            stack.callback(server.process.kill)
            server.wait_until_it_listens()
            if ready:
                server.wait_until_ready()
            return server

        yield start


@pytest.fixture
def serve(tmp_path_factory):
    with servers(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def _shared(tmp_path_factory):
    with servers(tmp_path_factory) as start:
        yield cache(start)


@pytest.fixture
def shared(_shared):
    """Returns a ready server that all tests share; its faults end with the test."""
    used = []

    def server(**values):
        used.append(_shared(**values))
        used[-1].wait_until_ready()
        return used[-1]

    yield server
    for one in used:
        one.faults()


@pytest.fixture
def painter(shared):
    """A server for FLUX.1-schnell."""
    return shared()


@pytest.fixture
def picture():
    """Makes a picture in base64."""

    def make(width=64, height=64, colour="red", mode="RGB"):
        file = io.BytesIO()
        Image.new(mode, (width, height), colour).save(file, "PNG")
        return base64.b64encode(file.getvalue()).decode()

    return make


@pytest.fixture
def opened():
    """Opens a picture, from base64 or bytes."""

    def open_picture(content):
        return Image.open(io.BytesIO(base64.b64decode(content) if isinstance(content, str) else content))

    return open_picture


@pytest.fixture
def job_id():
    return str(uuid.uuid4())
