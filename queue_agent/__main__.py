"""The agent's composition root: the only place that reads the environment and makes clients."""

import asyncio
import gc
import os
import signal
import socket
import sys
from contextlib import AsyncExitStack

from queue_agent.aws.clients import AwsClients, open_clients
from queue_agent.aws.jobs import DynamoJobs
from queue_agent.aws.notices import SnsNotices
from queue_agent.aws.objects import S3Objects
from queue_agent.aws.queue import SqsQueue
from queue_agent.drivers import load_executor, supervised
from queue_agent.errors import PlatformError
from queue_agent.execution import Execution
from queue_agent.health import HealthServer
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.kubernetes import BusyAnnotator, in_cluster_patch
from queue_agent.log import configure_logging
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Queue
from queue_agent.processing import Processor
from queue_agent.results import Results
from queue_agent.scheduler.slots import Scheduler
from queue_agent.server_monitor import ServerMonitor
from queue_agent.settings import Settings, SettingsError
from queue_agent.telemetry.setup import TelemetrySettings, open_telemetry
from queue_agent.worker import Worker
from runtimes._http import origin_of


def _processor(settings: Settings, aws: AwsClients, queue: Queue, web: Web, execution: Execution) -> Processor:
    store = S3Objects(aws.s3)
    return Processor(
        queue=queue,
        jobs=DynamoJobs(
            aws.dynamodb,
            table=settings.jobs_table,
            runtime=settings.runtime_name,
            owner=settings.pod_name or socket.gethostname(),
        ),
        execution=execution,
        inputs=InputFetcher(web=web, store=store, bucket=settings.bucket, input_buckets=settings.input_buckets),
        store=store,
        results=Results(store, bucket=settings.bucket, runtime_name=settings.runtime_name),
        notices=SnsNotices(aws.sns, settings.notice_topic_arn),
        memory=MemoryBudget(settings.memory_budget_bytes),
        deadlines=settings.deadlines,
        telemetry=execution.telemetry,
    )


async def run(settings: Settings, telemetry_settings: TelemetrySettings) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        PlatformError: The queue cannot be reached at the start.
        SettingsError: The health port cannot be listened on.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        # Opened first, so that it closes last and the last jobs' telemetry is sent.
        telemetry = await stack.enter_async_context(open_telemetry(telemetry_settings))
        aws = await stack.enter_async_context(open_clients(settings.region))
        web = await stack.enter_async_context(Web(allow_loopback=settings.allow_loopback_inputs))
        queue = await SqsQueue.open(aws.sqs, settings.queue_url, settings.dead_queue_url)
        executor = load_executor(settings)
        stack.push_async_callback(executor.aclose)
        server = supervised(executor, settings.runtime_type.hosting)
        monitor = ServerMonitor(
            server.liveness_token,
            stall_s=settings.deadlines.stall_s,
            url=settings.api_base_url and origin_of(settings.api_base_url),
        )
        patch = in_cluster_patch(pod_name=settings.pod_name, pod_namespace=settings.pod_namespace)
        worker = Worker(
            queue=queue,
            server=server,
            processor=_processor(settings, aws, queue, web, Execution(executor, server, monitor, telemetry)),
            scheduler=Scheduler(),
            monitor=monitor,
            annotator=await stack.enter_async_context(BusyAnnotator(patch)),
            stop=stop,
            grace_s=settings.shutdown_grace_s,
        )
        if settings.health_port is not None:
            health = HealthServer(
                server_health=monitor.health,
                ready=worker.ready,
                metrics=telemetry.page,
                host=None,
                port=settings.health_port,
            )
            await stack.enter_async_context(health)
        # What exists now stays. Collecting garbage in it takes 0.1 s, in which a GPU may wait for its next job.
        gc.freeze()
        await worker.run()


def main() -> int:
    """Run the agent; 0 after a signal, 2 for wrong settings, 1 when AWS cannot be reached at the start."""
    try:
        settings = Settings.from_environ(os.environ)
        telemetry_settings = TelemetrySettings.from_environ(
            os.environ,
            runtime_name=settings.runtime_name,
            runtime_type=settings.runtime_type.name,
            pod_name=settings.pod_name,
            page=settings.health_port is not None,
        )
    except SettingsError as exc:
        print(f"queue agent: {exc}", file=sys.stderr)  # noqa: T201 (logging is not set up yet)
        return 2
    configure_logging(settings.log_level, settings.runtime_name)
    try:
        asyncio.run(run(settings, telemetry_settings))
    except SettingsError as exc:
        print(f"queue agent: {exc}", file=sys.stderr)  # noqa: T201 (the last word before the exit)
        return 2
    except PlatformError as exc:
        print(f"queue agent: {exc}", file=sys.stderr)  # noqa: T201 (the last word before the exit)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
