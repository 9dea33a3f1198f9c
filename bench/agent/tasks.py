"""The tasks that the agent is measured with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from bench.agent.timeline import Span
from contract.job import new_job_id
from contract.objects import s3_url
from contract.task import Metadata, Task
from deploy.verify.samples import SAMPLE_CHECKPOINT
from local.aws import OUTPUT_BUCKET

STEP_S = 0.05
"""What one sampling step takes on the GPU."""


TENANT = "bench"
INPUTS_PREFIX = "bench-inputs/"
"""Where the tasks' inputs lie in the output bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Tasks that are put into the queue together.

    Attributes:
        name: What is measured with them.
        runtime: The runtime and its type: sdwebui or comfyui.
        steps: Sampling steps of each task.
        with_input: Whether each takes a picture of its own from S3.
    """

    name: str
    runtime: str
    steps: Sequence[int]
    with_input: bool = False
    _tasks: dict[str, str] = field(default_factory=dict)
    """Each task's id, by the id of its job."""

    @property
    def task_ids(self) -> list[str]:
        """Id of each task."""
        return [_task_id(index) for index in range(len(self.steps))]

    @property
    def input_keys(self) -> list[str]:
        """Keys of the inputs in the output bucket, one for each task that takes one."""
        return [_input_key(index) for index in range(len(self.steps))] if self.with_input else []

    @property
    def longest_s(self) -> float:
        """More time than one worker may take for all."""
        return sum(self.steps) * STEP_S * 2 + len(self.steps)

    def spans(self, jobs: Sequence[Mapping[str, Any]]) -> list[Span]:
        """Read a stand-in's list of jobs. Their ids are those of jobs or of tasks; else the place in the list tells."""
        tasks = {**{task: task for task in self.task_ids}, **self._tasks}
        return [Span(job["start"], job["end"], tasks.get(job["id"], _task_id(index))) for index, job in enumerate(jobs)]

    def messages(self) -> list[str]:
        """Each task as the body of an SNS message, as the front door writes it."""
        return [self._task(index).to_message() for index in range(len(self.steps))]

    def _task(self, index: int) -> Task:
        write = _WRITERS[self.runtime]
        tasktype, content = write(index, self.steps[index], self.with_input)
        job = new_job_id()
        self._tasks[job] = _task_id(index)
        metadata = Metadata.model_validate(
            {
                "id": _task_id(index),
                "runtime": self.runtime,
                "tasktype": tasktype,
                "schema": 1,
                "job": job,
                "tenant": TENANT,
                "submitted_at": datetime.now(UTC),
            }
        )
        return Task(metadata=metadata, content=content)


def equal_steps(job_s: float, count: int) -> list[int]:
    """Steps of jobs that all last about as long."""
    return [round(job_s / STEP_S)] * count


def mixed_steps(count: int, *, min_s: float, max_s: float, seed: int) -> list[int]:
    """Steps of jobs that last between two times, by chance."""
    chance = Random(seed)
    return [chance.randint(round(min_s / STEP_S), round(max_s / STEP_S)) for _ in range(count)]


def two_kinds_steps(count: int, *, short_s: float, long_s: float, long_share: float, seed: int) -> list[int]:
    """Steps of short and long jobs; exactly ``long_share`` of them are long, in an order by chance."""
    long = round(count * long_share)
    steps = [round(long_s / STEP_S)] * long + [round(short_s / STEP_S)] * (count - long)
    Random(seed).shuffle(steps)
    return steps


def _task_id(index: int) -> str:
    return f"task-{index}"


def _input_key(index: int) -> str:
    return f"{INPUTS_PREFIX}{index}.png"


def _write_sdwebui(index: int, steps: int, with_input: bool) -> tuple[str, dict[str, Any]]:
    content: dict[str, Any] = {
        "alwayson_scripts": {},
        "prompt": "A dog",
        "seed": index,
        "steps": steps,
        "width": 512,
        "height": 512,
        # By this name the GPU's list of jobs can be read.
        "force_task_id": _task_id(index),
    }
    if not with_input:
        return "text-to-image", content
    return "image-to-image", {**content, "init_images": [s3_url(OUTPUT_BUCKET, _input_key(index))]}


def _write_comfyui(index: int, steps: int, with_input: bool) -> tuple[str, dict[str, Any]]:
    if with_input:
        raise ValueError("the bench has no ComfyUI workflow with an input")
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "model": ("CheckpointLoaderSimple", {"ckpt_name": SAMPLE_CHECKPOINT}),
        "latent": ("EmptyLatentImage", {"width": 512, "height": 512, "batch_size": 1}),
        "good": ("CLIPTextEncode", {"text": "A dog", "clip": ["model", 1]}),
        "bad": ("CLIPTextEncode", {"text": "text, watermark", "clip": ["model", 1]}),
        "sampler": (
            "KSampler",
            {
                "seed": index,
                "steps": steps,
                "cfg": 8,
                "sampler_name": "euler",
                "scheduler": "normal",
                "denoise": 1,
                "model": ["model", 0],
                "positive": ["good", 0],
                "negative": ["bad", 0],
                "latent_image": ["latent", 0],
            },
        ),
        "decoder": ("VAEDecode", {"samples": ["sampler", 0], "vae": ["model", 2]}),
        "saver": ("SaveImage", {"filename_prefix": "ComfyUI", "images": ["decoder", 0]}),
    }
    return "pipeline", {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


_WRITERS = {"sdwebui": _write_sdwebui, "comfyui": _write_comfyui}
