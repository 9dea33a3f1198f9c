"""The front door of a rig, as a process."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor

import httpx

from local.api_key import API_KEY_ID
from test.kit.processes import HTTP, free_port, wait_for
from test.kit.tasks import TASKTYPES

_STAGE = "prod"
KEYS = {"key": API_KEY_ID, "other-key": "other", "admin-key": "admin"}
"""The id of each key: inputs belong to the first, and the last sees everything."""
BUDGETS = {"daily": {"jobs_per_day": 3}, "waiting": {"queued_jobs": 2}}
"""Keys that are their own ids, and what they may have."""
SIGNING_SECRET = "the platform's root secret of all tests"
_CALLERS = 4


class Door:
    """A door that publishes to the topic of the rig's queue; ``module`` runs it."""

    def __init__(self, rig, *module, **environment):
        self._rig = rig
        port = free_port()
        module = module or ("local.door",)
        address = ("--host", "127.0.0.1", "--port", str(port))
        self.base = f"http://127.0.0.1:{port}"
        if module[0] != "api.asgi":
            self.base += f"/{_STAGE}"
            address += ("--stage", _STAGE, "--rate-limit", "10000", "--burst-limit", "10000")
        keys = rig.kit.folder / f"keys-{port}.json"
        rows = [{"key": key, "id": name, "role": "admin" if name == "admin" else "user"} for key, name in KEYS.items()]
        rows += [{"key": key, "id": key, "role": "user", **budget} for key, budget in BUDGETS.items()]
        keys.write_text(json.dumps(rows))
        environment |= {"API_KEYS_FILE": str(keys), "RUNTIMES_FILE": str(rig.catalog_file)}
        self.signing_secret = SIGNING_SECRET
        environment = {"SIGNING_SECRET": SIGNING_SECRET, **environment}
        self.process = process = rig.add_child(*module, *address, **environment)
        process.start()
        wait_for(self._is_open, lambda: f"the door; log:\n{process.log}")

    def post(self, task_id, content, metadata=None):
        """Post a task for the rig's runtime; return the answer."""
        defaults = {"id": task_id, "runtime": self._rig.name, "tasktype": TASKTYPES.get(self._rig.type)}
        task = {"metadata": {**defaults, **(metadata or {})}, "content": content}
        return HTTP.post(f"{self.base}/v1alpha2", json={"task": task}, headers={"x-api-key": "key"}, timeout=30)

    def submit_all(self, orders):
        """Post many tasks, several at a time, each given as id, content and metadata."""
        with ThreadPoolExecutor(_CALLERS, thread_name_prefix="caller") as callers:
            for answer in callers.map(lambda order: self.post(*order), orders):
                assert answer.status_code == 200, answer.text

    def _is_open(self):
        with contextlib.suppress(httpx.HTTPError):
            return HTTP.get(f"{self.base}/v1alpha2").status_code == 401
        return False
