"""The trace that a message continues."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from telemetrykit import TRACE, XRAY, message

from queue_agent.telemetry.parent import parent_context

W3C_TRACE = 0x0AF7651916CD43DD8448EB211C80319C
W3C = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{:02d}"
GARBAGE = [
    "",
    "Root",
    "Root=1-zz59e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=short;Sampled=1",
    "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=1",
    "00-00000000000000000000000000000000-0000000000000000-01",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "\x00" * 400,
]


def test_a_message_continues_the_trace_of_its_aws_trace_header(recorder, spans):
    with message(recorder, XRAY.format(1)):
        pass
    span = spans()["process sdruntime"]
    assert span.context.trace_id == TRACE
    assert span.parent.span_id == 0x53995C3F42CD8AD8


def test_a_lineage_in_the_aws_trace_header_does_no_harm(recorder, spans):
    with message(recorder, XRAY.format(1) + ";Lineage=1:a87bd80c:0"):
        pass
    assert spans()["process sdruntime"].context.trace_id == TRACE


def test_a_message_without_aws_trace_header_continues_the_trace_of_its_traceparent(recorder, spans):
    with message(recorder, None, W3C.format(1)):
        pass
    span = spans()["process sdruntime"]
    assert span.context.trace_id == W3C_TRACE
    assert span.parent.span_id == 0xB7AD6B7169203331


def test_a_sampled_aws_trace_header_goes_before_traceparent(recorder, spans):
    with message(recorder, XRAY.format(1), W3C.format(1)):
        pass
    assert spans()["process sdruntime"].context.trace_id == TRACE


def test_an_aws_trace_header_that_is_not_sampled_does_not_hide_a_traceparent_that_is(recorder, spans):
    with message(recorder, XRAY.format(0), W3C.format(1)):
        pass
    assert spans()["process sdruntime"].context.trace_id == W3C_TRACE


@pytest.mark.parametrize(("trace_header", "traceparent"), [(XRAY.format(0), None), (None, W3C.format(0))])
def test_a_trace_that_is_not_sampled_is_not_recorded(recorder, spans, trace_header, traceparent):
    with message(recorder, trace_header, traceparent), recorder.stage("run"):
        pass
    assert not spans()


@pytest.mark.parametrize("garbage", GARBAGE)
def test_malformed_headers_are_ignored_and_a_new_trace_begins(recorder, spans, garbage):
    with message(recorder, garbage, garbage):
        pass
    span = spans()["process sdruntime"]
    assert span.parent is None
    assert span.context.trace_id not in {0, TRACE, W3C_TRACE}


@given(st.text(), st.text())
def test_no_text_in_the_headers_raises(trace_header, traceparent):
    parent_context(trace_header=trace_header, traceparent=traceparent)


def test_a_message_without_headers_does_not_join_the_trace_it_is_handled_in(recorder, exporter):
    with message(recorder), message(recorder):
        pass
    inner, outer = exporter.get_finished_spans()
    assert inner.context.trace_id != outer.context.trace_id
