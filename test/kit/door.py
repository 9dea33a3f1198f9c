"""The front door as a process before a rig."""

import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx

from test.kit.processes import HTTP, free_port, wait_for
from test.kit.tasks import TASKTYPES

_KEY, _STAGE = "key", "prod"
_CALLERS = 4


class Door:
    """The door, which publishes to the topic that the rig's queue is subscribed to.

    Args:
        rig: What it accepts tasks for.
        aws_url: Where it reaches AWS.
    """

    def __init__(self, rig, aws_url):
        self._rig = rig
        port = free_port()
        self._url = f"http://127.0.0.1:{port}/{_STAGE}/v1alpha2"
        limits = ("--rate-limit", "10000", "--burst-limit", "10000")
        arguments = ("local.door", "--host", "127.0.0.1", "--port", str(port), "--stage", _STAGE, *limits)
        self.process = rig.add_child(*arguments, endpoint=aws_url, API_KEY=_KEY, RUNTIMES_FILE=str(rig.catalog_file))

    def open(self):
        self.process.start()
        wait_for(self._is_open, lambda: f"the door; log:\n{self.process.log}")

    def open_again(self):
        """Start another one, after one was killed."""
        self.process.wait()
        self.open()

    def die(self):
        """Kill it, as nothing in it could notice."""
        self.process.send(signal.SIGKILL)

    def submit(self, task_id, content, metadata, *, key=None):
        """Post one task; returns the answer, or None where the connection breaks off."""
        headers = {"x-api-key": _KEY, **({"Idempotency-Key": key} if key else {})}
        with contextlib.suppress(httpx.TransportError):
            return HTTP.post(self._url, json=self._body(task_id, content, metadata), headers=headers, timeout=30)
        return None

    def submit_all(self, orders):
        """Post many tasks, several at a time; each is an id, its content and its metadata."""
        with httpx.Client(headers={"x-api-key": _KEY}, timeout=30, trust_env=False) as client:

            def post(order):
                return client.post(self._url, json=self._body(*order))

            with ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller") as callers:
                for answer in callers.map(post, orders):
                    assert answer.status_code == 200, answer.text

    def _body(self, task_id, content, metadata):
        metadata = {"id": task_id, "runtime": self._rig.name, "tasktype": TASKTYPES[self._rig.type], **metadata}
        return {"task": {"metadata": metadata, "content": content}}

    def _is_open(self):
        with contextlib.suppress(httpx.HTTPError):
            return HTTP.get(self._url).status_code == 401
        return False
