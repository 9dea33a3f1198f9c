"""Records the agent's spans and measurements through OpenTelemetry."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.context import Context, attach, create_key, detach, get_current, get_value, set_value
from opentelemetry.metrics import MeterProvider, Observation
from opentelemetry.propagators.aws.aws_xray_propagator import TRACE_HEADER_KEY, AwsXRayPropagator
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, StatusCode, Tracer, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from queue_agent.errors import AgentError
from queue_agent.telemetry.recorder import Recorder

_ERROR_TYPE = "error.type"
_STAGE_BOUNDS_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_AGE_BOUNDS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
_MESSAGE_SPAN = create_key("queue-agent-message-span")
_XRAY = AwsXRayPropagator()
_W3C = TraceContextTextMapPropagator()


class OpenTelemetryRecorder(Recorder):
    """Records spans and measurements through OpenTelemetry.

    Which span is current follows the context, into asyncio tasks too. Prometheus's names of the instruments end in
    _total and _seconds. The runtime's name stands for that of its queue. Without a GPU, nothing tells how busy it is.
    """

    def __init__(
        self,
        tracer: Tracer,
        meters: MeterProvider,
        registry: CollectorRegistry,
        runtime_name: str,
        *,
        has_gpu: bool = True,
    ) -> None:
        super().__init__()
        self._tracer = tracer
        self._registry = registry
        self._runtime_name = runtime_name
        meter = meters.get_meter("queue_agent")
        self._jobs = meter.create_counter("queue_agent.jobs", "{job}", "Jobs that ended.")
        self._retries = meter.create_counter("queue_agent.retries", "{retry}", "Messages released after an error.")
        self._stage_seconds = meter.create_histogram(
            "queue_agent.stage.duration",
            "s",
            "Seconds that a stage of a job took.",
            explicit_bucket_boundaries_advisory=_STAGE_BOUNDS_S,
        )
        self._queue_age = meter.create_histogram(
            "queue_agent.queue.age",
            "s",
            "Seconds that a message was in the queue before it was received.",
            explicit_bucket_boundaries_advisory=_AGE_BOUNDS_S,
        )
        if has_gpu:
            # Its rate is the busy share of the GPU: avg by (runtime) (rate(queue_agent_gpu_busy_seconds_total[5m])).
            meter.create_observable_counter(
                "queue_agent.gpu.busy",
                [lambda _: [Observation(self.gpu.busy_s)]],
                "s",
                "Seconds in which the model server ran a job.",
            )

    @contextmanager
    def message(self, *, trace_header: str | None, traceparent: str | None) -> Iterator[None]:
        """The span of one message, in a trace that X-Ray's or the W3C's header names; else it begins a trace."""
        # https://opentelemetry.io/docs/specs/semconv/messaging/sqs/
        attributes = {
            "messaging.system": "aws_sqs",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": self._runtime_name,
        }
        parent = parent_context(trace_header=trace_header, traceparent=traceparent)
        name = f"process {self._runtime_name}"
        span = self._tracer.start_span(name, context=parent, kind=SpanKind.CONSUMER, attributes=attributes)
        with _current(span, set_value(_MESSAGE_SPAN, span, parent)):
            yield

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The span of one stage within the current one, and a measurement of its seconds.

        An exception marks the span and the measurement with an AgentError's code or its type, never with its message.
        """
        labels = {"stage": name}
        start_s = time.perf_counter()
        try:
            with _current(self._tracer.start_span(name), get_current()):
                yield
        except BaseException as exc:
            labels[_ERROR_TYPE] = _error_type(exc)
            raise
        finally:
            self._stage_seconds.record(time.perf_counter() - start_s, labels)

    def annotate(self, **attributes: str | int) -> None:
        """Add attributes to the message's span."""
        _message_span().set_attributes(attributes)

    def job_ended(self, outcome: str, error_code: str | None = None) -> None:
        """Count a job that has ended, and note its outcome on the message's span."""
        labels = {"outcome": outcome}
        _message_span().set_attributes(labels)
        if error_code is not None:
            labels[_ERROR_TYPE] = error_code
            _mark_failed(_message_span(), error_code)
        self._jobs.add(1, labels)

    def retried(self, error_code: str) -> None:
        """Count a message that is released after an error, and mark its span as failed."""
        _mark_failed(_message_span(), error_code)
        self._retries.add(1, {_ERROR_TYPE: error_code})

    def queue_age(self, seconds: float) -> None:
        """Note a message's age; where SQS's clock is ahead of this machine's it counts as none."""
        self._queue_age.record(max(0.0, seconds))

    async def page(self) -> tuple[int, str, bytes]:
        """The metrics as Prometheus reads them: status, Content-Type, body. It is made in a few milliseconds."""
        return 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._registry)


@contextmanager
def _current(span: Span, context: Context) -> Iterator[None]:
    token = attach(set_span_in_context(span, context))
    try:
        yield
    except BaseException as exc:
        _mark_failed(span, _error_type(exc))
        raise
    finally:
        detach(token)
        span.end()


def _error_type(exc: BaseException) -> str:
    """One word for an exception, which reveals nothing of a task."""
    return exc.code if isinstance(exc, AgentError) else type(exc).__name__


def _mark_failed(span: Span, error: str) -> None:
    span.set_attribute(_ERROR_TYPE, error)
    span.set_status(StatusCode.ERROR)


def _message_span() -> Span:
    span = get_value(_MESSAGE_SPAN)
    return span if isinstance(span, Span) else INVALID_SPAN


def parent_context(*, trace_header: str | None, traceparent: str | None) -> Context:
    """The trace context that a message came with: the first sampled one, else the first valid one, else an empty one.

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
