"""Which trace a message continues."""

from opentelemetry.context import Context
from opentelemetry.propagators.aws.aws_xray_propagator import TRACE_HEADER_KEY, AwsXRayPropagator
from opentelemetry.trace import get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_XRAY = AwsXRayPropagator()
_W3C = TraceContextTextMapPropagator()


def parent_context(*, trace_header: str | None, traceparent: str | None) -> Context:
    """The context that a message came with; an empty one if neither header is valid.

    Lambda sends its trace header along even where X-Ray is off, as not sampled (botocore's
    add_recursion_detection_header): it must not hide a caller's trace that is sampled.
    """
    found = [
        _XRAY.extract({TRACE_HEADER_KEY: trace_header or ""}, Context()),
        _W3C.extract({"traceparent": traceparent or ""}, Context()),
    ]
    spans = [(context, get_current_span(context).get_span_context()) for context in found]
    valid = [(context, span) for context, span in spans if span.is_valid]
    sampled = [(context, span) for context, span in valid if span.trace_flags.sampled]
    return next((context for context, _ in sampled + valid), Context())
