"""The agent as a process, which takes messages from the queue by itself until it is stopped."""

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial

from contract.objects import catalog_key
from contract.queues import Priority
from queue_agent.aws.priorities import PriorityQueues
from queue_agent.beacon import AgentBeacon
from queue_agent.catalog import CatalogPublisher
from queue_agent.composition import open_agent
from queue_agent.errors import PlatformError
from queue_agent.health import serve_health
from queue_agent.kubernetes import BusyAnnotator, in_cluster_patch
from queue_agent.log import configure_logging
from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.setup import open_telemetry
from queue_agent.worker import Worker


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        PlatformError: The queue cannot be reached at the start.
        SettingsError: The health port cannot be listened on, or a variable of OpenTelemetry's is invalid.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        # Opened first, so that it closes last and the last jobs' telemetry is sent.
        telemetry = await stack.enter_async_context(open_telemetry(settings, os.environ))
        owner = settings.pod_name or socket.gethostname()
        agent = await stack.enter_async_context(open_agent(settings, telemetry, owner=owner))
        queue = agent.queue
        others = {Priority.HIGH: settings.high_queue_url, Priority.LOW: settings.low_queue_url}
        beside = {priority: queue.beside(url) for priority, url in others.items() if url is not None}
        all_queues = PriorityQueues({Priority.NORMAL: queue, **beside})
        stack.push_async_callback(all_queues.aclose)
        patch = in_cluster_patch(pod_name=settings.pod_name, pod_namespace=settings.pod_namespace)
        worker = Worker(
            queue=all_queues if beside else queue,
            server=agent.server,
            processor=agent.processor,
            scheduler=agent.scheduler,
            monitor=agent.monitor,
            annotator=await stack.enter_async_context(BusyAnnotator(patch)),
            stop=stop,
            grace_s=settings.shutdown_grace_s,
        )
        if settings.health_port is not None:
            pages = serve_health(
                server_health=agent.monitor.health,
                ready=worker.ready,
                metrics=telemetry.page,
                host=None,
                port=settings.health_port,
            )
            await stack.enter_async_context(pages)
        beacon = AgentBeacon(
            agent.jobs, server=agent.server, scheduler=agent.scheduler, is_ready=lambda: worker.takes_jobs
        )
        await stack.enter_async_context(beacon)
        key = catalog_key(settings.runtime_name)
        publish_catalog = partial(agent.store.put_packed, settings.bucket, key, content_type="application/json")
        catalog = CatalogPublisher(publish_catalog, server=agent.server, is_ready=lambda: worker.takes_jobs)
        await stack.enter_async_context(catalog)
        # What exists now stays. Collecting garbage in it takes 0.1 s, in which a GPU may wait for its next job.
        gc.freeze()
        await worker.run()


def main() -> int:
    """Run the agent; 0 after a signal, 2 for wrong settings, 1 when AWS cannot be reached at the start."""
    try:
        settings = Settings.from_environ(os.environ)
        configure_logging(settings.log_level, settings.runtime_name)
        asyncio.run(run(settings))
    except (SettingsError, PlatformError) as exc:
        print(f"queue agent: {exc}", file=sys.stderr)  # noqa: T201 (the last word before the exit, or no logging yet)
        return 2 if isinstance(exc, SettingsError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
