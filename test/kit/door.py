"""The front door of a rig, as a process."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import httpx

from test.kit.processes import HTTP, free_port, wait_for
from test.kit.tasks import TASKTYPES

_KEY, _STAGE = "key", "prod"
_CALLERS = 4


class Door:
    """A door that publishes to the topic of the rig's queue; ``module`` runs it."""

    def __init__(self, rig, *module):
        self._rig = rig
        port = free_port()
        self._url = f"http://127.0.0.1:{port}/{_STAGE}/v1alpha2"
        address = ("--host", "127.0.0.1", "--port", str(port), "--stage", _STAGE)
        limits = ("--rate-limit", "10000", "--burst-limit", "10000")
        environment = {"API_KEY": _KEY, "RUNTIMES_FILE": str(rig.catalog_file)}
        process = rig.add_child(*(module or ("local.door",)), *address, *limits, **environment)
        process.start()
        wait_for(self._is_open, lambda: f"the door; log:\n{process.log}")

    def post(self, task_id, content, metadata=None):
        """Post a task for the rig's runtime; return the answer."""
        defaults = {"id": task_id, "runtime": self._rig.name, "tasktype": TASKTYPES.get(self._rig.type)}
        task = {"metadata": {**defaults, **(metadata or {})}, "content": content}
        return HTTP.post(self._url, json={"task": task}, headers={"x-api-key": _KEY}, timeout=30)

    def submit_all(self, orders):
        """Post many tasks, several at a time, each given as id, content and metadata."""
        with ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller") as callers:
            for answer in callers.map(lambda order: self.post(*order), orders):
                assert answer.status_code == 200, answer.text

    def _is_open(self):
        with contextlib.suppress(httpx.HTTPError):
            return HTTP.get(self._url).status_code == 401
        return False
