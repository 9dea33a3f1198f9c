"""The state that GET progress shows: one for the whole server, without a name for the job."""

import time
from typing import Any


class WebuiProgress:
    """What runs now; the flags stay until the next job begins."""

    def __init__(self) -> None:
        self.job = ""
        self.job_count = 0
        self.job_no = 0
        self.job_timestamp = "0"
        self.sampling_step = 0
        self.sampling_steps = 0
        self.interrupted = False
        self.skipped = False
        self.preview: str | None = None
        self._began = 0.0

    @property
    def stopped(self) -> bool:
        """Whether the running batch is to end before its last step."""
        return self.interrupted or self.skipped

    def begin(self, job: str) -> None:
        """Start a job: the flags fall, the count of steps of the last one stays."""
        self.job = job
        self.job_count = -1
        self.job_no = 0
        self.sampling_step = 0
        self.interrupted = self.skipped = False
        self.job_timestamp = time.strftime("%Y%m%d%H%M%S")
        self.preview = None
        self._began = time.monotonic()

    def next_batch(self) -> None:
        """Go on to the next batch of the job."""
        self.job_no += 1
        self.sampling_step = 0

    def end(self) -> None:
        """End the job; whether it was interrupted stays to be read."""
        self.job = ""
        self.job_count = 0
        self.preview = None

    def as_json(self, *, with_image: bool) -> dict[str, Any]:
        """Return the answer of GET progress; times in seconds."""
        share = eta_s = 0.0
        if self.job_count > 0:
            share = 0.01 + self.job_no / self.job_count
            if self.sampling_steps > 0:
                share += self.sampling_step / self.sampling_steps / self.job_count
            share = min(share, 1.0)
            elapsed_s = time.monotonic() - self._began
            eta_s = elapsed_s / share - elapsed_s
        state = {
            "skipped": self.skipped,
            "interrupted": self.interrupted,
            "stopping_generation": False,
            "job": self.job,
            "job_count": self.job_count,
            "job_timestamp": self.job_timestamp,
            "job_no": self.job_no,
            "sampling_step": self.sampling_step,
            "sampling_steps": self.sampling_steps,
        }
        image = self.preview if with_image else None
        return {"progress": share, "eta_relative": eta_s, "state": state, "current_image": image, "textinfo": None}
