"""The agent's composition root: the only place that reads the environment and makes clients."""

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack
from functools import partial

from contract.objects import catalogue_key
from contract.queues import Priority
from queue_agent.aws.clients import open_clients
from queue_agent.aws.jobs import DynamoJobs
from queue_agent.aws.notices import publish
from queue_agent.aws.objects import S3Objects
from queue_agent.aws.priorities import PriorityQueues
from queue_agent.aws.queue import SqsQueue
from queue_agent.beacon import AgentBeacon
from queue_agent.catalogue import CataloguePublisher
from queue_agent.drivers import load_executor, supervised
from queue_agent.errors import PlatformError
from queue_agent.execution import Execution
from queue_agent.health import serve_health
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.kubernetes import BusyAnnotator, in_cluster_patch
from queue_agent.log import configure_logging
from queue_agent.memory import MemoryBudget
from queue_agent.previews import Previews
from queue_agent.processing import Processor
from queue_agent.results import Results
from queue_agent.scheduler.slots import Scheduler
from queue_agent.server_monitor import ServerMonitor
from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.setup import open_telemetry
from queue_agent.worker import Worker
from runtimes._http import origin_of


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
        aws = await stack.enter_async_context(open_clients(settings.region))
        web = await stack.enter_async_context(Web(allow_loopback=settings.allow_loopback_inputs))
        queue = await SqsQueue.open(aws.sqs, settings.queue_url, settings.dead_queue_url)
        store = S3Objects(aws.s3)
        inputs = InputFetcher(web=web, store=store, bucket=settings.bucket, input_buckets=settings.input_buckets)
        owner = settings.pod_name or socket.gethostname()
        executor = load_executor(settings)
        stack.push_async_callback(executor.aclose)
        server = supervised(executor, settings)
        monitor = ServerMonitor(
            server.liveness_token,
            stall_s=settings.deadlines.stall_s,
            url=settings.api_base_url and origin_of(settings.api_base_url),
        )
        jobs = DynamoJobs(aws.dynamodb, table=settings.jobs_table, runtime=settings.runtime_name, owner=owner)
        scheduler = Scheduler()
        processor = Processor(
            queue=queue,
            jobs=jobs,
            execution=Execution(executor, server, monitor, telemetry),
            fetch_inputs=inputs.fetch,
            store=store,
            results=Results(s3=store, bucket=settings.bucket, runtime_name=settings.runtime_name),
            previews=Previews(server=server, store=store, bucket=settings.bucket),
            publish=partial(publish, aws.sns, settings.notice_topic_arn),
            memory=MemoryBudget(settings.memory_budget_bytes),
            deadlines=settings.deadlines,
            telemetry=telemetry,
        )
        patch = in_cluster_patch(pod_name=settings.pod_name, pod_namespace=settings.pod_namespace)
        others = {Priority.HIGH: settings.high_queue_url, Priority.LOW: settings.low_queue_url}
        beside = {priority: queue.beside(url) for priority, url in others.items() if url is not None}
        all_queues = PriorityQueues({Priority.NORMAL: queue, **beside})
        stack.push_async_callback(all_queues.aclose)
        worker = Worker(
            queue=all_queues if beside else queue,
            server=server,
            processor=processor,
            scheduler=scheduler,
            monitor=monitor,
            annotator=await stack.enter_async_context(BusyAnnotator(patch)),
            stop=stop,
            grace_s=settings.shutdown_grace_s,
        )
        if settings.health_port is not None:
            pages = serve_health(
                server_health=monitor.health,
                ready=worker.ready,
                metrics=telemetry.page,
                host=None,
                port=settings.health_port,
            )
            await stack.enter_async_context(pages)
        beacon = AgentBeacon(jobs, server=server, scheduler=scheduler, is_ready=lambda: worker.takes_jobs)
        await stack.enter_async_context(beacon)
        key = catalogue_key(settings.runtime_name)
        publish_catalogue = partial(store.put_packed, settings.bucket, key, content_type="application/json")
        catalogue = CataloguePublisher(publish_catalogue, server=server, is_ready=lambda: worker.takes_jobs)
        await stack.enter_async_context(catalogue)
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
