"""The tasks that the agent is measured with."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from bench.agent.timeline import Span
from contract.ids import new_job_id
from contract.objects import s3_url
from contract.task import Metadata, Task
from deploy.verify.samples import SAMPLE_CHECKPOINT
from local.aws import OUTPUT_BUCKET

STEP_S = 0.05
"""What one sampling step takes on the GPU."""

TENANT = "bench"
_SIZE = {"width": 512, "height": 512}


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Tasks that are put into the queue together.

    Attributes:
        name: What is measured with them.
        runtime: The runtime and its type: sdwebui or comfyui.
        seconds: How long each task takes the GPU, to a sampling step.
        with_input: Whether each takes a picture of its own from S3 (sdwebui only).
    """

    name: str
    runtime: str
    seconds: Sequence[float]
    with_input: bool = False
    _tasks: dict[str, str] = field(default_factory=dict)
    """Each task's id, by the id of its job."""

    @property
    def task_ids(self) -> list[str]:
        """Id of each task."""
        return [f"task-{index}" for index in range(len(self.seconds))]

    @property
    def input_keys(self) -> list[str]:
        """Keys of the inputs in the output bucket, one for each task that takes one."""
        return [f"bench-inputs/{task_id}.png" for task_id in self.task_ids] if self.with_input else []

    def spans(self, jobs: Sequence[Mapping[str, Any]]) -> list[Span]:
        """Read a stand-in's list of jobs. Their ids are those of jobs or tasks; else their order names the task."""
        tasks = {**self._tasks, **{task_id: task_id for task_id in self.task_ids}}
        return [Span(job["start"], job["end"], tasks.get(job["id"], f"task-{n}")) for n, job in enumerate(jobs)]

    def messages(self) -> list[str]:
        """Each task as the body of an SNS message, as the front door writes it."""
        return [self._message(index, task_id) for index, task_id in enumerate(self.task_ids)]

    def _message(self, index: int, task_id: str) -> str:
        steps = round(self.seconds[index] / STEP_S)
        if self.runtime == "comfyui":
            tasktype, content = "pipeline", _workflow(index, steps)
        else:
            # By force_task_id the GPU's list of jobs can be read.
            content = {"prompt": "A dog", "seed": index, "steps": steps, **_SIZE, "force_task_id": task_id}
            tasktype = "text-to-image"
        if self.with_input:
            tasktype = "image-to-image"
            content["init_images"] = [s3_url(OUTPUT_BUCKET, self.input_keys[index])]
        job = new_job_id()
        self._tasks[job] = task_id
        known = {
            "id": task_id,
            "runtime": self.runtime,
            "tasktype": tasktype,
            "schema": 1,
            "job": job,
            "tenant": TENANT,
        }
        metadata = Metadata.model_validate({**known, "submitted_at": datetime.now(UTC)})
        return Task(metadata=metadata, content=content).to_message()


def _workflow(seed: int, steps: int) -> dict[str, Any]:
    sampling = {"seed": seed, "steps": steps, "cfg": 8, "sampler_name": "euler", "scheduler": "normal", "denoise": 1}
    parts = {"model": ["model", 0], "positive": ["good", 0], "negative": ["bad", 0], "latent_image": ["latent", 0]}
    nodes = {
        "model": ("CheckpointLoaderSimple", {"ckpt_name": SAMPLE_CHECKPOINT}),
        "latent": ("EmptyLatentImage", {**_SIZE, "batch_size": 1}),
        "good": ("CLIPTextEncode", {"text": "A dog", "clip": ["model", 1]}),
        "bad": ("CLIPTextEncode", {"text": "text, watermark", "clip": ["model", 1]}),
        "sampler": ("KSampler", {**sampling, **parts}),
        "decoder": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["model", 2]}),
        "saver": ("SaveImage", {"filename_prefix": "ComfyUI", "images": ["decoder", 0]}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def short_and_long(count: int, *, short_s: float, long_s: float, long_share: float, seed: int) -> list[float]:
    """Durations of short and long tasks; exactly ``long_share`` of them are long, in random order."""
    long = round(count * long_share)
    seconds = [long_s] * long + [short_s] * (count - long)
    Random(seed).shuffle(seconds)
    return seconds


def poisson_arrivals_s(count: int, *, rate: float, seed: int) -> list[float]:
    """Moments of arrival in seconds from the start, ``rate`` a second on average."""
    chance, now = Random(seed), 0.0
    return [now := now + chance.expovariate(rate) for _ in range(count)]


def ideal_waits_s(arrivals_s: Sequence[float], durations_s: Sequence[float], servers: int) -> list[float]:
    """How long each task waits in an ideal central queue: first come, first served, by the server that is free first.

    Args:
        arrivals_s: When each task comes, in ascending order.
        durations_s: How long each one runs.
        servers: How many there are; all are free at first.
    """
    free_at = [float("-inf")] * servers
    waits = []
    for arrival, duration in zip(arrivals_s, durations_s, strict=True):
        start = max(arrival, heapq.heappop(free_at))
        heapq.heappush(free_at, start + duration)
        waits.append(start - arrival)
    return waits
