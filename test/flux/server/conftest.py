"""The model server as a real process, with the pipeline that paints; and what tests ask it over HTTP."""

import base64
import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest
from PIL import Image

PATIENCE_S = 120
SMALL = {"width": 64, "height": 64}


class Server:
    """One running server; ``faults`` changes what goes wrong from its next batch on."""

    def __init__(self, folder, options, **environment):
        self.fault_file = folder / "faults.json"
        self.log_file = folder / "log.jsonl"
        self.log_file.touch()
        settings = {
            "MODEL_OPTIONS": json.dumps({"profile": "flux-schnell", **options}),
            "PIPELINE": "runtimes.flux.standin.painting:load",
            "HOST": "127.0.0.1",
            "PORT": 0,
            "STANDIN_STEP_SECONDS": 0.02,
            "STANDIN_FAULTS": self.fault_file,
            **environment,
        }
        self._environment = {**os.environ, **{key: str(value) for key, value in settings.items()}}

    def start(self):
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runtimes.flux.server"], env=self._environment, stderr=log
            )
        line = self.wait_for_log("the server listens")
        self.url = f"http://127.0.0.1:{line['port']}"

    def stop(self):
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def faults(self, **faults):
        self.fault_file.write_text(json.dumps(faults))

    @property
    def log(self):
        return [json.loads(line) for line in self.log_file.read_text().splitlines()]

    def wait_for_log(self, message):
        return wait_for(lambda: next((line for line in self.log if line["message"] == message), None))

    @property
    def address(self):
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def health(self):
        return httpx.get(f"{self.url}/health").json()

    def wait_until_ready(self):
        wait_for(lambda: self.health()["ready"])

    def workers(self):
        """Process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in children}
        return [pid for pid, line in lines.items() if "runtimes.flux.server.worker" in line]

    def metrics(self):
        text = httpx.get(f"{self.url}/metrics").text
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        }


def wait_for(condition):
    """What the condition returns once it is true."""
    end = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    return found


class Client:
    """Speaks to one server."""

    def __init__(self, http):
        self.http = http

    async def generate(self, prompt="a fox", **values):
        return await self.http.post("/generate", json={"prompt": prompt, "seed": 7, **SMALL, **values})

    async def post_job(self, prompt="a fox", task_type="text-to-image", **values):
        request = {"prompt": prompt, "seed": 7, **SMALL, **values}
        body = {"job_id": str(uuid.uuid4()), "task_type": task_type, "request": request}
        answer = await self.http.post("/jobs", json=body)
        assert answer.status_code == 202, answer.text
        return answer.json()["job_id"]

    async def job(self, job_id):
        return (await self.http.get(f"/jobs/{job_id}")).json()

    async def delete(self, job_id):
        return (await self.http.delete(f"/jobs/{job_id}")).status_code

    async def events(self, job_id):
        """Each event of a job, until its end."""
        async with self.http.stream("GET", f"/jobs/{job_id}/events") as stream:
            kind = ""
            async for line in stream.aiter_lines():
                if line.startswith("event: "):
                    kind = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield kind, json.loads(line.removeprefix("data: "))

    async def until(self, job_id, kind, state=None):
        """Wait for an event, of a state if one is named."""
        async with contextlib.aclosing(self.events(job_id)) as events:
            async for found, content in events:
                if found == kind and state in {None, content.get("state")}:
                    return content
        raise AssertionError(f"no {kind} came")

    async def end(self, job_id):
        return await self.until(job_id, "end")


@pytest.fixture
def serve(tmp_path):
    """Starts servers: options of the model, then environment in capitals; ready unless told otherwise."""
    with contextlib.ExitStack() as stack:

        def start(*, ready=True, faults=None, environment=None, **options):
            folder = tmp_path / uuid.uuid4().hex
            folder.mkdir()
            server = Server(folder, options, **(environment or {}))
            if faults:
                server.faults(**faults)
            server.start()
            stack.callback(_end, server)
            if ready:
                server.wait_until_ready()
            return server

        yield start


def _end(server):
    server.process.kill()
    server.process.wait()


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Starts servers that outlive their tests: environment in capitals, options of the model."""
    with contextlib.ExitStack() as stack:

        def start(environment=(), **options):
            server = Server(tmp_path_factory.mktemp("server"), options, **dict(environment))
            server.start()
            stack.callback(_end, server)
            server.wait_until_ready()
            return server

        yield start


@pytest.fixture(scope="session")
def painter(shared):
    """A server of FLUX.1-schnell that all modules share; nothing goes wrong with it."""
    return shared()


@pytest.fixture(scope="session")
def editor(shared):
    """A server of FLUX.1-Kontext that all modules share."""
    return shared(profile="flux-kontext")


@pytest.fixture(scope="session")
def _gatherer(shared):
    return shared({"STEP_SECONDS": 1}, batchWaitSeconds=0.3)


@pytest.fixture
def gatherer(_gatherer):
    """A shared server whose first job waits 0.3 s for others, and with which things go wrong."""
    _gatherer.wait_until_ready()
    yield _gatherer
    _gatherer.faults()


@pytest.fixture(scope="session")
def _pair(shared):
    return shared({"WORKERS": 2})


@pytest.fixture
def pair(_pair):
    """A shared server of two workers, both ready."""
    wait_for(lambda: {worker["state"] for worker in _pair.health()["workers"]} == {"ready"})
    yield _pair
    _pair.faults()


@pytest.fixture
async def connect():
    """Makes clients."""
    async with contextlib.AsyncExitStack() as stack:

        async def client(server):
            http = httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S)
            return Client(await stack.enter_async_context(http))

        yield client


@pytest.fixture
async def client(painter, connect):
    return await connect(painter)


@pytest.fixture
def picture():
    """Makes a picture in base64."""

    def make(width=64, height=64, colour="red", mode="RGB", file_format="PNG"):
        file = io.BytesIO()
        Image.new(mode, (width, height), colour).save(file, file_format)
        return base64.b64encode(file.getvalue()).decode()

    return make


@pytest.fixture
def opened():
    """Opens a picture, from base64 or bytes."""

    def open_picture(content):
        return Image.open(io.BytesIO(base64.b64decode(content) if isinstance(content, str) else content))

    return open_picture


@pytest.fixture
def until():
    """Waits for a condition, and returns what it returned."""
    return wait_for
