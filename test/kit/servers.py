"""The model servers that pods have: how each is begun, asked what it does, and made to go wrong."""

import json
import os
import signal
from pathlib import Path

from test.kit.processes import HTTP
from test.kit.tasks import MODELS

_HUNG_WORKER_S = 3
"""After which the FLUX server kills a worker that shows no sign of life; as by default before the agent calls a job
stalled."""


class _Server:
    def hold(self, step):
        """Let jobs wait before this step; 0 lets them go on."""
        self.faults(hold_at_step=step)


class StandIn(_Server):
    """The stand-in for SD WebUI or ComfyUI, which listens at a URL and takes ``step_s`` for a step."""

    ready_path = "/_standin/jobs"

    def __init__(self, rig, url, step_s):
        self._url = url
        models = [word for model in MODELS for word in ("--model", model)]
        port = url.rpartition(":")[2]
        self.command = ("runtimes.standin", "--type", rig.type, "--port", port, "--step-s", str(step_s), *models)
        self.environment = {}

    @property
    def generations(self):
        """All jobs that it has begun since it was started."""
        return _get(f"{self._url}/_standin/jobs")["jobs"]

    @property
    def waiting(self):
        """Ids of jobs in ComfyUI's own queue, of which it has begun none; SD WebUI has no queue."""
        return [entry[1] for entry in _get(f"{self._url}/queue")["queue_pending"]]

    @property
    def left_behind(self):
        """Files and entries of the history that jobs left on ComfyUI; SD WebUI's jobs write none."""
        return [*_get(f"{self._url}/_standin/files"), *_get(f"{self._url}/history")]

    def faults(self, **changes):
        HTTP.post(f"{self._url}/_standin/faults", json=changes).raise_for_status()

    def load(self, seconds, server):
        """Let it be busy with loading its model for so long."""
        self.faults(load_s=seconds)

    def hang(self):
        """Let its next job hang."""
        self.faults(hang_jobs=1)

    def recover(self):
        """Nothing goes wrong but for the job that hangs."""


class FluxServer(_Server):
    """The FLUX server with a pipeline that paints in a worker process; its faults are in a file."""

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
        """All jobs that it has begun since it was started; one that is withdrawn has a batch only if it was begun."""
        jobs = _get(f"{self._url}/jobs")
        del jobs["waiting"]
        was_begun = {job: _get(f"{self._url}/jobs/{job}")["batch"] is not None for job in jobs["cancelled"]}
        return [{"id": job, "outcome": state} for state, ids in jobs.items() for job in ids if was_begun.get(job, True)]

    @property
    def waiting(self):
        """Ids of jobs in its own queue, of which it has begun none."""
        return _get(f"{self._url}/jobs")["waiting"]

    def faults(self, **changes):
        """Set the faults of its pipeline; those that are not named are none."""
        self._faults.write_text(json.dumps(changes))

    def load(self, seconds, server):
        """Let its worker load the model again, and take that long."""
        self.faults(load_seconds=seconds)
        kill_worker(server)

    def hang(self):
        """Let its next batches hang."""
        self.faults(hang_at_step=1)

    def recover(self):
        """Nothing goes wrong but for the job that hangs."""
        self.faults()


def kill_worker(server):
    """Kill the process of a FLUX server that has its GPU; returns whether it had one at the moment."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children}
    workers = [pid for pid, line in lines.items() if b"runtimes.flux.server.worker" in line]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    return bool(workers)


def _get(url):
    return HTTP.get(url).raise_for_status().json()
