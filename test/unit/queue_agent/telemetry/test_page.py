"""The page of metrics."""

import pytest
from telemetrykit import sample, samples_of, settings_of

from queue_agent.errors import InputError
from queue_agent.telemetry.opening import open_telemetry


async def test_the_page_shows_every_metric_with_the_runtimes_labels():
    async with open_telemetry(settings_of()) as telemetry:
        with telemetry.message(trace_header=None, traceparent=None):
            with telemetry.stage("run"):
                pass
            with pytest.raises(InputError), telemetry.stage("prepare"):
                raise InputError
        telemetry.job_ended("succeeded")
        telemetry.job_ended("succeeded")
        telemetry.job_ended("failed", "input_failed")
        telemetry.retried("platform_failed")
        telemetry.queue_age(42)
        telemetry.gpu_began("job")
        status, content_type, body = await telemetry.page()
    assert status == 200
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    samples = samples_of(body)
    runtime = {"runtime": "sdruntime", "runtime_type": "sdwebui"}
    stage, age = "queue_agent_stage_duration_seconds", "queue_agent_queue_age_seconds"
    assert sample(samples, f"{stage}_count", stage="run", error_type="", **runtime) == 1
    assert sample(samples, f"{stage}_count", stage="prepare", error_type="input_failed", **runtime) == 1
    assert sample(samples, "queue_agent_jobs_total", outcome="succeeded", **runtime) == 2
    assert sample(samples, "queue_agent_jobs_total", outcome="failed", error_type="input_failed", **runtime) == 1
    assert sample(samples, "queue_agent_retries_total", error_type="platform_failed", **runtime) == 1
    assert sample(samples, f"{age}_bucket", le="60.0", **runtime) == 1
    assert sample(samples, f"{age}_bucket", le="30.0", **runtime) == 0
    assert sample(samples, "queue_agent_gpu_busy_seconds_total", **runtime) > 0
    assert sample(samples, "target_info", service_instance_id="pod-1", service_name="queue-agent") == 1


async def test_two_pages_in_a_row_show_the_same():
    async with open_telemetry(settings_of()) as telemetry:
        telemetry.job_ended("succeeded")
        assert (await telemetry.page()) == (await telemetry.page())


async def test_a_message_sent_in_the_future_has_no_age():
    async with open_telemetry(settings_of()) as telemetry:
        telemetry.queue_age(-3)
        samples = samples_of((await telemetry.page())[2])
    assert sample(samples, "queue_agent_queue_age_seconds_sum") == 0


async def test_the_operators_own_service_name_wins(monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "pictures")
    async with open_telemetry(settings_of()) as telemetry:
        samples = samples_of((await telemetry.page())[2])
    assert sample(samples, "target_info", service_name="pictures") == 1
