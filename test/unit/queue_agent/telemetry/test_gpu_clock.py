"""The seconds in which the GPU had a job."""

from queue_agent.telemetry.gpu_clock import GpuClock


def test_the_gpus_seconds_grow_while_a_job_still_runs():
    now = [0.0]
    clock = GpuClock(lambda: now[0])
    clock.began("a")
    now[0] = 3.0
    assert clock.busy_s == 3
    clock.ended("a")
    now[0] = 5.0
    assert clock.busy_s == 3


def test_jobs_that_overlap_on_the_gpu_count_once():
    now = [0.0]
    clock = GpuClock(lambda: now[0])
    clock.began("a")
    now[0] = 2.0
    clock.began("b")
    clock.ended("a")
    clock.ended("a")
    now[0] = 5.0
    clock.ended("b")
    assert clock.busy_s == 5
