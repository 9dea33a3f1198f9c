"""The spans of a message and of its stages."""

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from telemetrykit import SECRET, TRACE, XRAY, message

from queue_agent.errors import InputError


def test_a_message_is_consumed_from_sqs_under_the_semantic_conventions(recorder, spans):
    with message(recorder):
        pass
    span = spans()["process sdruntime"]
    assert span.kind is SpanKind.CONSUMER
    assert span.attributes["messaging.system"] == "aws_sqs"
    assert span.attributes["messaging.operation.type"] == "process"


def test_each_stage_has_one_span_whose_parent_is_the_message(recorder, exporter, spans):
    with message(recorder, XRAY.format(1)):
        for name in ("prepare", "run", "store"):
            with recorder.stage(name):
                pass
    assert [span.name for span in exporter.get_finished_spans()] == ["prepare", "run", "store", "process sdruntime"]
    root = spans()["process sdruntime"].context
    for name in ("prepare", "run", "store"):
        assert spans()[name].parent.span_id == root.span_id
        assert spans()[name].context.trace_id == TRACE


async def test_the_stages_of_messages_handled_at_once_do_not_mix(recorder, exporter):
    async def handle(header):
        with message(recorder, header):
            for name in ("prepare", "run"):
                with recorder.stage(name):
                    await asyncio.sleep(0.001)

    headers = [XRAY.format(1).replace("e988", f"{number:04x}") for number in range(8)]
    await asyncio.gather(*map(handle, headers))
    spans = exporter.get_finished_spans()
    by_id = {span.context.span_id: span for span in spans}
    assert len({span.context.trace_id for span in spans}) == len(headers)
    for span in spans:
        if span.name != "process sdruntime":
            assert by_id[span.parent.span_id].name == "process sdruntime"
            assert by_id[span.parent.span_id].context.trace_id == span.context.trace_id


async def test_a_task_begun_within_a_stage_stands_under_it(recorder, spans):
    async def fetch():
        with recorder.stage("fetch"):
            await asyncio.sleep(0)

    with message(recorder), recorder.stage("prepare"):
        await asyncio.create_task(fetch())
    assert spans()["fetch"].parent.span_id == spans()["prepare"].context.span_id


def test_no_span_is_current_after_the_message(recorder):
    with message(recorder), recorder.stage("run"):
        assert get_current_span().get_span_context().is_valid
    assert not get_current_span().get_span_context().is_valid


def test_annotations_made_within_a_stage_stand_on_the_message(recorder, spans):
    with message(recorder), recorder.stage("prepare"):
        recorder.annotate(job="019a", attempt=2)
    assert spans()["process sdruntime"].attributes["job"] == "019a"
    assert spans()["process sdruntime"].attributes["attempt"] == 2
    assert "job" not in spans()["prepare"].attributes


def test_annotations_outside_a_message_are_ignored(recorder):
    recorder.annotate(job="019a")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (InputError(SECRET), "input_failed"),
        (KeyError(SECRET), "KeyError"),
        (asyncio.CancelledError(), "CancelledError"),
    ],
)
def test_what_a_stage_raises_marks_its_span_and_gives_nothing_away(recorder, spans, raised, error):
    with pytest.raises(type(raised)), message(recorder), recorder.stage("prepare"):
        raise raised
    for name in ("prepare", "process sdruntime"):
        span = spans()[name]
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == error
        assert "prompt" not in span.to_json()
        assert not span.events


def test_a_failure_that_is_handled_within_the_message_marks_the_stage_alone(recorder, spans):
    with message(recorder):
        with pytest.raises(InputError), recorder.stage("prepare"):
            raise InputError
        with recorder.stage("store"):
            pass
    assert spans()["prepare"].status.status_code is StatusCode.ERROR
    assert spans()["store"].status.status_code is StatusCode.UNSET
    assert spans()["process sdruntime"].status.status_code is StatusCode.UNSET


def test_a_retry_marks_the_messages_span_with_its_code(recorder, spans):
    with message(recorder):
        recorder.retried("model_server_failed")
    span = spans()["process sdruntime"]
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "model_server_failed"


def test_the_messages_span_tells_the_jobs_outcome(recorder, spans):
    with message(recorder):
        recorder.job_ended("failed", "rejected")
    span = spans()["process sdruntime"]
    assert span.attributes["outcome"] == "failed"
    assert span.attributes["error.type"] == "rejected"
