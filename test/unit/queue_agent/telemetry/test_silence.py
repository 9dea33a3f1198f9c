"""Telemetry that nobody listens to."""

import time
from contextlib import nullcontext

from telemetrykit import XRAY, message, settings_of

from queue_agent.telemetry.opening import open_telemetry
from queue_agent.telemetry.recorder import Recorder
from queue_agent.telemetry.silence import NoTelemetry


async def test_nothing_is_told_where_nobody_listens():
    async with open_telemetry(settings_of(page=False)) as telemetry:
        assert isinstance(telemetry, NoTelemetry)


def test_silence_takes_all_that_a_recorder_takes(recorder):
    for telemetry in (NoTelemetry(), recorder):
        with message(telemetry, XRAY.format(1)), telemetry.stage("run"), telemetry.stage("again"):
            telemetry.annotate(job="019a", attempt=1)
            telemetry.job_ended("failed", "rejected")
            telemetry.retried("platform_failed")
            telemetry.queue_age(1.5)
            telemetry.gpu_began("019a")
            telemetry.gpu_ended("019a")
    assert {name for name in dir(Recorder) if name[0] != "_"} == {name for name in dir(NoTelemetry) if name[0] != "_"}


def test_a_stage_of_silence_costs_little_more_than_a_context_that_does_nothing():
    telemetry = NoTelemetry()
    assert _cost(lambda: telemetry.stage("run")) < 5 * _cost(nullcontext)


def _cost(context):
    """Seconds that 10,000 of them take, the best of five times."""

    def once():
        start_s = time.perf_counter()
        for _ in range(10_000):
            with context():
                pass
        return time.perf_counter() - start_s

    return min(once() for _ in range(5))
