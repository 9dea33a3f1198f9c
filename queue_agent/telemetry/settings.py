"""What the agent tells, and to whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from queue_agent.settings import SettingsError

_PROTOCOL = "http/protobuf"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """What the agent tells, and to whom.

    OpenTelemetry's own variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, OTEL_METRIC_EXPORT_INTERVAL,
    OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED …) are read by its SDK.

    Attributes:
        runtime_name: The runtime this agent belongs to.
        runtime_type: The type of its model server.
        pod_name: The agent's pod, which tells it from others; None where there is none.
        traces: Whether traces are sent by OTLP: where OTEL_EXPORTER_OTLP_ENDPOINT or
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, unless OTEL_TRACES_EXPORTER names something else.
        metrics: Whether metrics are: likewise, with METRICS in place of TRACES.
        page: Whether Prometheus can ask for a page.
    """

    runtime_name: str
    runtime_type: str
    pod_name: str | None
    traces: bool
    metrics: bool
    page: bool

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str], *, runtime_name: str, runtime_type: str, pod_name: str | None, page: bool
    ) -> Self:
        """Read the settings of the exporters.

        Raises:
            SettingsError: They ask for a protocol other than http/protobuf.
        """
        return cls(
            runtime_name=runtime_name,
            runtime_type=runtime_type,
            pod_name=pod_name,
            traces=_exported(environ, "TRACES"),
            metrics=_exported(environ, "METRICS"),
            page=page,
        )

    @property
    def nobody_listens(self) -> bool:
        """Whether there is no one to tell anything."""
        return not (self.traces or self.metrics or self.page)


def _exported(environ: Mapping[str, str], signal: str) -> bool:
    if not _standard(environ, signal, "ENDPOINT")[1]:
        return False
    exporters = environ.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if "otlp" not in [name.strip() for name in exporters.split(",")]:
        return False
    key, protocol = _standard(environ, signal, "PROTOCOL")
    if protocol not in {"", _PROTOCOL}:
        raise SettingsError(f"{key}={protocol!r} must be {_PROTOCOL}")
    return True


def _standard(environ: Mapping[str, str], signal: str, name: str) -> tuple[str, str]:
    """A variable of the OTLP exporters and its value: the signal's own if it is set, else the general one."""
    own, general = f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}"
    key = own if environ.get(own) else general
    return key, environ.get(key, "").strip()
