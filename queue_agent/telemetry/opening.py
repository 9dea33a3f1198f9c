"""Opens the agent's telemetry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from queue_agent.ports import Telemetry
from queue_agent.telemetry.complaints import Complaints
from queue_agent.telemetry.settings import TelemetrySettings
from queue_agent.telemetry.silence import NoTelemetry

_FLUSH_S = 2.0


@asynccontextmanager
async def open_telemetry(settings: TelemetrySettings) -> AsyncIterator[Telemetry]:
    """Telemetry for as long as the context lasts; at its end what is left is sent, for 2 s at most.

    An hour in which the collector is away costs one warning, and what it was to get.

    Raises:
        SettingsError: A variable of OpenTelemetry's own makes no sense.
    """
    if settings.nobody_listens:
        yield NoTelemetry()
        return
    # Imported where they are used: the SDK takes 40 ms, which an agent that nobody listens to need not wait for.
    from queue_agent.telemetry.meters import Meters  # noqa: PLC0415
    from queue_agent.telemetry.providers import open_providers  # noqa: PLC0415
    from queue_agent.telemetry.recorder import Recorder  # noqa: PLC0415
    from queue_agent.telemetry.spans import Spans  # noqa: PLC0415

    Complaints().install()
    providers = open_providers(settings)
    try:
        spans = Spans(providers.tracers.get_tracer("queue_agent"), settings.runtime_name)
        yield Recorder(spans, Meters(providers.meters), providers.registry)
    finally:
        await asyncio.to_thread(providers.shut_down, _FLUSH_S)
