"""The spans of messages and their stages, and the trace that a message continues."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.context import Context, attach, create_key, detach, get_current, get_value, set_value
from opentelemetry.propagators.aws.aws_xray_propagator import TRACE_HEADER_KEY, AwsXRayPropagator
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from queue_agent.errors import AgentError

ERROR_TYPE = "error.type"

_MESSAGE_SPAN = create_key("queue-agent-message-span")
_XRAY = AwsXRayPropagator()
_W3C = TraceContextTextMapPropagator()


def error_type(exc: BaseException) -> str:
    """One word for an exception, which reveals nothing of a task."""
    return exc.code if isinstance(exc, AgentError) else type(exc).__name__


class Spans:
    """Makes spans; which one is current follows the context, into asyncio tasks too.

    Args:
        tracer: Where they come from.
        runtime_name: The runtime, whose name stands for that of its queue.
    """

    def __init__(self, tracer: Tracer, runtime_name: str) -> None:
        self._tracer = tracer
        self._name = f"process {runtime_name}"
        # https://opentelemetry.io/docs/specs/semconv/messaging/sqs/
        self._attributes: Mapping[str, str] = {
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": runtime_name,
        }

    @contextmanager
    def message(self, *, trace_header: str | None, traceparent: str | None) -> Iterator[None]:
        """The span of one message."""
        parent = parent_context(trace_header=trace_header, traceparent=traceparent)
        span = self._tracer.start_span(self._name, context=parent, kind=SpanKind.CONSUMER, attributes=self._attributes)
        with _current(span, set_value(_MESSAGE_SPAN, span, parent)):
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The span of one stage."""
        with _current(self._tracer.start_span(name), get_current()):
            yield

    def annotate(self, attributes: Mapping[str, str | int]) -> None:
        """Add attributes to the current message's span."""
        _message_span().set_attributes(attributes)

    def mark_failed(self, error_code: str) -> None:
        """Mark the current message's span as failed."""
        _mark_failed(_message_span(), error_code)


@contextmanager
def _current(span: Span, context: Context) -> Iterator[None]:
    token = attach(set_span_in_context(span, context))
    try:
        yield
    except BaseException as exc:
        _mark_failed(span, error_type(exc))
        raise
    finally:
        detach(token)
        span.end()


def _mark_failed(span: Span, error: str) -> None:
    span.set_attribute(ERROR_TYPE, error)
    span.set_status(StatusCode.ERROR)


def _message_span() -> Span:
    span = get_value(_MESSAGE_SPAN)
    return span if isinstance(span, Span) else INVALID_SPAN


def parent_context(*, trace_header: str | None, traceparent: str | None) -> Context:
    """The trace context that a message came with; an empty one if neither header is valid.

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
