"""The job API over a rig, behind both of its shells: API Gateway's twin with Lambda's handlers, and ASGI."""

import contextlib
import json
from functools import cache

import httpx
import pytest

from test.kit.door import KEYS, Door
from test.kit.processes import HTTP
from test.kit.tasks import TASKTYPES, content_of

SHELLS = {"lambda": "local.door", "asgi": "api.asgi"}


class Api:
    """A door before a rig, and a caller of it."""

    def __init__(self, rig, module, **environment):
        self.rig = rig
        self.door = Door(rig, module, **environment)
        self.url = f"{self.door.base}/v1"

    def call(self, method, path, body=None, *, key="key", **headers):
        """Send a request; ``path`` is what follows /v1, or a whole link."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key:
            headers["x-api-key"] = key
        url = path if path.startswith("http") else self.url + path
        return HTTP.request(method, url, json=body, headers=headers, timeout=60)

    def get(self, path, **options):
        response = self.call("GET", path, **options)
        assert response.status_code == 200, response.text
        return response.json()

    def body(self, **changes):
        """A request of a job of the rig's runtime."""
        content = content_of(self.rig.type, seed=1, steps=changes.pop("steps", 2), pictures=1)
        return {"runtime": self.rig.name, "type": TASKTYPES[self.rig.type], "content": content, **changes}

    def submit(self, *, key="key", headers=None, **changes):
        response = self.call("POST", "/jobs", self.body(**changes), key=key, **(headers or {}))
        assert response.status_code == 202, response.text
        return response.json()

    def wait(self, job, **options):
        """The job once it has ended."""
        while not (state := self.get(f"/jobs/{job}?wait=20", **options))["ended_at"]:
            pass
        return state

    def events(self, job, **headers):
        """Follow a job to its end; each event as its kind, its id and its data."""
        headers = {"x-api-key": "key", **{name.replace("_", "-"): value for name, value in headers.items()}}
        with httpx.stream("GET", f"{self.url}/jobs/{job}/events", headers=headers, timeout=60) as response:
            assert response.status_code == 200
            assert response.headers["content-type"] == "text/event-stream"
            event = {}
            for line in response.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    event[name] = value
                elif "event" in event:
                    yield event["event"], int(event["id"]), json.loads(event["data"])
                    event = {}


@pytest.fixture(params=SHELLS)
def shell(request):
    return SHELLS[request.param]


@pytest.fixture(scope="session")
def waiting_api(kit):
    """Takes the API of a shell and of a runtime without servers, so that its jobs wait.

    Each is started once, and has nothing left of an earlier test when it is taken.
    """
    with contextlib.ExitStack() as stack:

        @cache
        def make(shell, runtime_type):
            return Api(stack.enter_context(kit.rig(runtime_type)), shell)

        def take(shell, runtime_type="sdwebui"):
            api = make(shell, runtime_type)
            api.rig.clear()
            return api

        yield take


@pytest.fixture
def api(waiting_api, shell):
    return waiting_api(shell)


@pytest.fixture
def make_api():
    return Api


__all__ = ["KEYS"]
