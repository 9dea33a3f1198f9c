"""What tells the agent of a trace, and what its telemetry tells."""

from prometheus_client.parser import text_string_to_metric_families

from queue_agent.telemetry.settings import TelemetrySettings

TRACE = 0x5759E988BD862E3FE1BE46A994272793
XRAY = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled={}"
SECRET = "a prompt about https://bucket.example/cat.png?X-Amz-Signature=1"


def message(recorder, trace_header=None, traceparent=None):
    return recorder.message(trace_header=trace_header, traceparent=traceparent)


def settings_of(**changes):
    given = {"runtime_name": "sdruntime", "runtime_type": "sdwebui", "pod_name": "pod-1"}
    return TelemetrySettings(**{**given, "traces": False, "metrics": False, "page": True, **changes})


def samples_of(body):
    """The page's samples: value by name and labels."""
    families = text_string_to_metric_families(body.decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(samples, name, **labels):
    """The value of the one sample with these labels, whatever others it has."""
    [value] = [v for (n, given), v in samples.items() if n == name and set(labels.items()) <= given]
    return value
