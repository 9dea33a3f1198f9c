"""The model servers of pods: how to start each, query it and make it fail."""

import json
import os
import signal
from pathlib import Path

from test.kit.processes import HTTP
from test.kit.tasks import MODELS

_HUNG_WORKER_S = 3
"""The FLUX server kills a worker that is silent for this long; as with the defaults, that comes before the agent
reports a job as stalled."""


class _Server:
    def hold(self, step):
        """Make jobs wait before this step; 0 lets them continue."""
        self.faults(hold_at_step=step)


class StandIn(_Server):
    """The stand-in for SD WebUI or ComfyUI, at a URL; a step takes ``step_s``."""

    ready_path = "/_standin/jobs"

    def __init__(self, rig, url, step_s):
        self._url = url
        models = [word for model in MODELS for word in ("--model", model)]
        port = url.rpartition(":")[2]
        self.command = ("runtimes.standin", "--type", rig.type, "--port", port, "--step-s", str(step_s), *models)
        self.environment = {}

    @property
    def generations(self):
        """All jobs that it has started since its own start."""
        return _get(f"{self._url}/_standin/jobs")["jobs"]

    @property
    def waiting(self):
        """Ids of waiting jobs in ComfyUI's own queue; SD WebUI has no queue."""
        return [entry[1] for entry in _get(f"{self._url}/queue")["queue_pending"]]

    @property
    def left_behind(self):
        """Files and history entries that jobs left on ComfyUI; SD WebUI's jobs leave none."""
        return [*_get(f"{self._url}/_standin/files"), *_get(f"{self._url}/history")]

    def faults(self, **changes):
        HTTP.post(f"{self._url}/_standin/faults", json=changes).raise_for_status()

    def load(self, seconds, server):
        """Make it load its model for this long."""
        self.faults(load_s=seconds)

    def hang(self):
        """Make its next job hang."""
        self.faults(hang_jobs=1)

    def recover(self):
        """Nothing goes wrong but for the job that hangs."""


class InvokeStandIn(StandIn):
    """The stand-in for InvokeAI, whose queue outlives its process."""

    def __init__(self, rig, url, step_s):
        super().__init__(rig, url, step_s)
        self.environment = {"INVOKEAI_ROOT": str(rig.kit.folder / f"invokeai-{url.rpartition(':')[2]}")}

    @property
    def waiting(self):
        """Destinations of pending items in its queue, which are the jobs' ids on the server."""
        return [item["destination"] for item in self.items() if item["status"] == "pending"]

    @property
    def left_behind(self):
        """Pictures and items of the queue that jobs left."""
        return _get(f"{self._url}/_standin/files")

    def items(self):
        """All items of its queue, without their sessions."""
        ids = _get(f"{self._url}/api/v1/queue/default/item_ids")
        summaries = HTTP.post(f"{self._url}/api/v1/queue/default/item_summaries_by_ids", json=ids)
        summaries.raise_for_status()
        return summaries.json()


class FluxServer(_Server):
    """The FLUX server with a painting pipeline in its worker process; a file controls its faults."""

    ready_path = "/health"
    command = ("runtimes.flux.server",)

    def __init__(self, rig, url, step_s):
        port = url.rpartition(":")[2]
        self._faults = rig.kit.folder / f"flux-{port}-faults.json"
        self._url = url
        self.environment = {
            "HOST": "127.0.0.1",
            "PORT": port,
            "PIPELINE": "runtimes.flux.standin.painting:load",
            "MODEL_OPTIONS": json.dumps({"profile": "flux-dev"}),
            "STANDIN_FAULTS": str(self._faults),
            "STANDIN_STEP_SECONDS": str(step_s),
            "STEP_SECONDS": str(_HUNG_WORKER_S),
        }

    @property
    def generations(self):
        """All jobs that it has started since its own start; a cancelled job has a batch only if it was started."""
        jobs = _get(f"{self._url}/jobs")
        del jobs["waiting"]
        was_begun = {job: _get(f"{self._url}/jobs/{job}")["batch"] is not None for job in jobs["cancelled"]}
        return [{"id": job, "outcome": state} for state, ids in jobs.items() for job in ids if was_begun.get(job, True)]

    @property
    def waiting(self):
        """Ids of waiting jobs in its own queue."""
        return _get(f"{self._url}/jobs")["waiting"]

    def faults(self, **changes):
        """Set the faults of its pipeline, and clear all others."""
        self._faults.write_text(json.dumps(changes))

    def load(self, seconds, server):
        """Make its worker load the model again for this long."""
        self.faults(load_seconds=seconds)
        kill_worker(server)

    def hang(self):
        """Make its next batches hang."""
        self.faults(hang_at_step=1)

    def recover(self):
        """Nothing goes wrong but for the job that hangs."""
        self.faults()


def kill_worker(server):
    """Kill a FLUX server's worker process; return whether there was one."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    workers = [pid for pid, line in lines.items() if b"runtimes.flux.server.worker" in line]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return bool(workers)


def _get(url):
    return HTTP.get(url).raise_for_status().json()
