"""Which jobs are drawn together, when, and by which worker. The workers' processes and the clock are fakes."""

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
from PIL import Image

from runtimes.flux.families import EDIT, IMAGE_TO_IMAGE, INPAINTING, TEXT_TO_IMAGE
from runtimes.flux.options import ModelOptions
from runtimes.flux.server.engine import scheduler as module
from runtimes.flux.server.engine.engine import Engine
from runtimes.flux.server.engine.jobs import ServerJob
from runtimes.flux.server.engine.scheduler import choose_batch
from runtimes.flux.server.ports import DeviceStatus, GenerationRequest
from runtimes.flux.server.settings import read_settings
from runtimes.flux.server.worker.handle import WorkerHandle
from runtimes.flux.server.worker.protocol import (
    BatchProgress,
    BatchStarted,
    DeviceFreed,
    DropJob,
    JobOutput,
    RunBatch,
    WorkerReady,
)

A, B, LOST = ("a", 1, 0), ("b", 1, 0), ("a", 1, 1)
"""Jobs: their batch key, number of pictures and attempts."""


@pytest.mark.parametrize(
    ("queue", "chosen", "is_full"),
    [
        ([A, B, A, B], [0, 2], False),
        ([A, A, A, A, A], [0, 1, 2, 3], True),
        ([("a", 3, 0), ("a", 2, 0), A], [0], True),  # no job overtakes another with its key
        ([("a", 9, 0), A], [0], True),
        ([A, LOST, A], [0, 2], False),
        ([LOST, A], [0], True),
    ],
)
def test_a_batch_has_the_first_job_and_those_with_its_key_that_fit_but_a_job_that_lost_a_worker_is_alone(
    queue, chosen, is_full
):
    jobs = [
        SimpleNamespace(request=SimpleNamespace(batch_key=key, seeds=range(pictures)), attempts=attempts)
        for key, pictures, attempts in queue
    ]
    assert choose_batch(jobs, 4) == ([jobs[place] for place in chosen], is_full)


REQUEST = GenerationRequest(
    job_id="a", task_type=TEXT_TO_IMAGE, prompt="a fox", seeds=(1,), width=64, height=64, steps=4, guidance=3.5
)
SETTINGS = {"width": 128, "height": 128, "steps": 5, "guidance": 2.0, "sequence_length": 64, "true_cfg": 2.0}
SETTINGS |= {"negative_prompt": "rain", "loras": (("style", 1.0),), "preview": True, "task_type": IMAGE_TO_IMAGE}


def test_requests_can_share_a_batch_if_they_differ_in_prompt_or_seed_but_not_in_settings():
    for same in ({"prompt": "the moon"}, {"seeds": (2, 3)}, {"job_id": "b"}):
        assert replace(REQUEST, **same).batch_key == REQUEST.batch_key
    for name, value in SETTINGS.items():
        assert replace(REQUEST, **{name: value}).batch_key != REQUEST.batch_key, name
    assert len({replace(REQUEST, negative_prompt=words).batch_key for words in ("rain", "snow")}) == 1


@pytest.mark.parametrize(("task", "together"), [(IMAGE_TO_IMAGE, True), (INPAINTING, True), (EDIT, False)])
def test_requests_with_images_can_share_a_batch_if_their_strength_is_equal_but_edits_cannot(task, together):
    first, second = (
        replace(REQUEST, job_id=name, task_type=task, images=(Image.new("RGB", (64, 64), name),), strength=0.5)
        for name in ("blue", "red")
    )
    assert (first.batch_key == second.batch_key) is together
    assert first.batch_key != replace(first, strength=0.6).batch_key


DEVICE = DeviceStatus(name="cuda:0", memory_bytes=0, peak_bytes=0, host_peak_bytes=0, max_pixels=2**24)


class FakeWorker(WorkerHandle):
    """A worker without a process; ``sent`` has the ids of each batch's jobs, ``dropped`` those of dropped jobs."""

    def __init__(self, *given):
        super().__init__(*given)
        self.sent, self.dropped = {}, []

    def _send(self, message):
        match message:
            case RunBatch():
                self.sent[message.batch] = [request.job_id for request in message.requests]
            case DropJob():
                self.dropped.append(message.job_id)

    def ready(self):
        self._hear(WorkerReady(ModelOptions(profile="flux-schnell").card, DEVICE))

    def begin(self, encode_s=0.0):
        self._hear(BatchStarted(self.undrawn[0].number, encode_s, {}))

    def step(self, share):
        self._hear(BatchProgress(self.undrawn[0].number, share, 1, 2))

    def finish(self):
        batch = self.undrawn[0]
        self._hear(DeviceFreed(batch.number, (len(batch.jobs),), 0, 0, DEVICE))
        for job in batch.open_jobs:
            for number in range(1, 1 + len(job.request.seeds)):
                self._hear(JobOutput(batch.number, job.id, number, "image/png", b""))

    def die(self):
        self.loss, batches, self.batches = "died", list(self.batches.values()), {}
        self._on_loss(self, batches)
        self.ready()


@pytest.fixture
async def start(monkeypatch):
    """Starts engines with ready fake workers, submits jobs, and lets time pass."""
    now = [1000.0]
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(module, "WorkerHandle", FakeWorker)

    def engine(workers=1, **options):
        monkeypatch.setenv("MODEL_OPTIONS", json.dumps({"profile": "flux-schnell", **options}))
        monkeypatch.setenv("WORKERS", str(workers))
        made = Engine(read_settings())
        for worker in made.scheduler.workers:
            worker.ready()
        monkeypatch.setattr(loop, "time", lambda: now[0])
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        return made, made.scheduler.workers

    def submit(made, *names, **values):
        jobs = [ServerJob(replace(REQUEST, job_id=name, **values)) for name in names]
        for job in jobs:
            job.times.added = now[0]
            made.scheduler.add(job)
        return jobs

    async def pass_s(seconds):
        now[0] += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    return SimpleNamespace(engine=engine, submit=submit, pass_s=pass_s)


async def test_the_first_job_waits_for_others_for_the_configured_time_unless_the_batch_is_full(start):
    engine, (worker,) = start.engine(batchWaitSeconds=0.3)
    start.submit(engine, *"ab")
    await start.pass_s(0.29)
    assert worker.sent == {}
    await start.pass_s(0.02)
    assert worker.sent == {1: ["a", "b"]}
    worker.begin()
    worker.finish()
    start.submit(engine, *"cdef")
    assert worker.sent[2] == [*"cdef"]
    lines = engine.metrics.text().decode().splitlines()
    assert {"flux_batch_pictures_count 1.0", "flux_batch_pictures_sum 2.0"} <= set(lines)


async def test_the_next_batch_grows_until_its_prompts_must_be_encoded(start):
    engine, (worker,) = start.engine()
    start.submit(engine, "a", steps=20)
    worker.begin(encode_s=2.1)
    start.submit(engine, "b")
    await start.pass_s(10)
    worker.step(0.5)
    start.submit(engine, "c")
    assert worker.sent == {1: ["a"]}
    await start.pass_s(7)
    worker.step(0.85)
    assert worker.sent == {1: ["a"], 2: ["b", "c"]}


async def test_a_job_can_be_dropped_from_a_batch_while_the_others_continue(start):
    engine, (worker,) = start.engine(batchWaitSeconds=0.3)
    goes, stays, *_ = start.submit(engine, *"abcd")
    worker.begin()
    engine.cancel(goes)
    worker.finish()
    assert worker.dropped == ["a"]
    assert (goes.outcome, goes.outputs, stays.outcome) == ("cancelled", {}, "succeeded")


async def test_two_workers_draw_at_the_same_time_and_each_is_busy_for_as_long_as_it_draws(start):
    engine, workers = start.engine(workers=2)
    start.submit(engine, "a", "b", seeds=(1, 2, 3, 4))
    assert [list(worker.sent.values()) for worker in workers] == [[["a"]], [["b"]]]
    for worker in workers:
        worker.begin()
    await start.pass_s(5)
    workers[0].finish()
    lines = engine.metrics.text().decode().splitlines()
    assert [line for line in lines if line.startswith("flux_busy_seconds_total")] == [
        'flux_busy_seconds_total{worker="0"} 5.0'
    ]


async def test_a_job_that_loses_two_workers_fails_and_the_others_of_its_batch_are_drawn_alone(start):
    engine, (worker,) = start.engine(batchWaitSeconds=0.3)
    jobs = start.submit(engine, *"abcd")
    worker.begin()
    worker.die()
    assert worker.sent[2] == ["a"]
    worker.begin()
    worker.finish()
    worker.begin()
    worker.die()
    assert (jobs[1].outcome, jobs[1].error.message) == ("worker_lost", "died")
    for _ in "cd":
        worker.begin()
        worker.finish()
    assert [job.outcome for job in jobs] == ["succeeded", "worker_lost", "succeeded", "succeeded"]


async def test_a_lost_worker_costs_an_attempt_only_for_the_job_that_it_was_drawing(start):
    engine, (worker,) = start.engine()
    (drawn,) = start.submit(engine, "a", steps=1)
    worker.begin()
    (encoded,) = start.submit(engine, "b", width=128)
    worker.die()
    assert (drawn.attempts, encoded.attempts) == (1, 0)


async def test_a_job_that_lost_a_worker_never_goes_to_a_busy_one(start):
    engine, workers = start.engine(workers=2)
    start.submit(engine, "innocent", steps=20)
    workers[0].begin()
    (guilty,) = start.submit(engine, "guilty", width=128)
    workers[1].begin()
    workers[1].die()
    assert [list(worker.sent.values()) for worker in workers] == [[["innocent"]], [["guilty"], ["guilty"]]]
    assert not workers[1].takes_another
    workers[1].begin()
    workers[1].die()
    assert guilty.outcome == "worker_lost"
