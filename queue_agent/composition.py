"""What both of the agent's shells are made of: the processor of messages, and the parts that it works with."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from queue_agent.aws.clients import open_clients
from queue_agent.aws.jobs import DynamoJobs
from queue_agent.aws.notices import publish
from queue_agent.aws.objects import S3Objects
from queue_agent.aws.queue import SqsQueue
from queue_agent.drivers import load_executor, supervised
from queue_agent.execution import Execution
from queue_agent.inputs.fetcher import InputFetcher
from queue_agent.inputs.web import Web
from queue_agent.memory import MemoryBudget
from queue_agent.ports import Supervised
from queue_agent.previews import Previews
from queue_agent.processing import Processor
from queue_agent.results import Results
from queue_agent.scheduler.slots import Scheduler
from queue_agent.server_monitor import ServerMonitor
from queue_agent.settings import Settings
from queue_agent.telemetry.recorder import Recorder
from runtimes._http import origin_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A queue agent without what feeds it messages."""

    queue: SqsQueue
    """The runtime's own; messages of its other queues are handled in those."""
    store: S3Objects
    jobs: DynamoJobs
    server: Supervised
    monitor: ServerMonitor
    scheduler: Scheduler
    processor: Processor


@asynccontextmanager
async def open_agent(
    settings: Settings, telemetry: Recorder, *, owner: str, lease_s: int | None = None
) -> AsyncIterator[Agent]:
    """An agent for as long as the context lasts.

    Args:
        settings: Where it works.
        telemetry: Records its work.
        owner: Its name, for people who look at the jobs table.
        lease_s: How long a message stays hidden once the agent has extended it; None for as long as SQS hides it
            from its receipt on.

    Raises:
        PlatformError: The queue cannot be reached, or there are no credentials.
        SettingsError: The options of the runtime's model are invalid.
    """
    async with AsyncExitStack() as stack:
        aws = await stack.enter_async_context(open_clients(settings.region))
        web = await stack.enter_async_context(Web(allow_loopback=settings.allow_loopback_inputs))
        queue = await SqsQueue.open(aws.sqs, settings.queue_url, settings.dead_queue_url, visibility_s=lease_s)
        store = S3Objects(aws.s3)
        inputs = InputFetcher(web=web, store=store, bucket=settings.bucket, input_buckets=settings.input_buckets)
        executor = load_executor(settings)
        stack.push_async_callback(executor.aclose)
        server = supervised(executor, settings)
        monitor = ServerMonitor(
            server.liveness_token,
            stall_s=settings.deadlines.stall_s,
            url=settings.api_base_url and origin_of(settings.api_base_url),
        )
        jobs = DynamoJobs(aws.dynamodb, table=settings.jobs_table, runtime=settings.runtime_name, owner=owner)
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
        yield Agent(
            queue=queue,
            store=store,
            jobs=jobs,
            server=server,
            monitor=monitor,
            scheduler=Scheduler(),
            processor=processor,
        )
