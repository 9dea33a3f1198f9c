"""``python -m local demo``: one request of each kind, from the API to a picture on disk."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.verify.samples import Sample, samples_of
from deploy.verify.target import Target
from deploy.verify.verification import SampleOutcome, verify
from local.aws import NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.console import plain
from local.demo_output import DemoOutput
from local.parts import Layout
from local.platform import Platform
from local.proxy_event import API_KEY_ID
from local.sheet import Run
from local.stack import StateDirectory

_WAIT_S = 120.0


async def run_demo(layout: Layout, state: StateDirectory, out: Path, console: Console, *, platform: str | None) -> bool:
    """Run the samples of every runtime on a platform of their own; return whether all gave a picture.

    Args:
        layout: How to run the platform.
        state: Where its logs go.
        out: Directory of the runs; this one gets a new directory in it.
        console: Where progress and the table go.
        platform: The command that starts a platform which takes these requests; None where there is none.

    Raises:
        AlreadyRunningError, PartFailedError, DeployError: It did not come to that.
        CancelledError: It was interrupted; what was drawn by then is saved.
    """
    say = plain(console)
    samples = samples_of(layout.config.catalog)
    say("Starting the platform …")
    output = DemoOutput(out, layout.config, asked=len(samples), platform=platform)

    def report(outcome: SampleOutcome) -> None:
        output.save(outcome)
        say(f"  {_step(outcome)}")

    with console.status("Starting") as status:
        async with AsyncExitStack() as ending:
            try:
                running = await ending.enter_async_context(
                    Platform(layout, state, progress=lambda step: say(f"  {step}"))
                )
                say(f"Posting {len(samples)} requests …")
                status.update("Waiting for their pictures")
                await _verify(running, layout, samples, report)
            except asyncio.CancelledError:
                say(_interruption(output.run))
                raise
            finally:
                status.update("Ending")
                sheet = output.write_sheet()
    console.print()
    console.print(_table(output.run))
    for entry in output.run.entries:
        if entry.problem is not None:
            say(f"{entry.runtime}: {entry.problem}\n  Logs: {state.logs}/{entry.runtime}-agent.log and -server.log")
    say(f"\nAll pictures on one page: {sheet}")
    return all(entry.problem is None for entry in output.run.entries)


def _interruption(run: Run) -> str:
    pictures = sum(bool(entry.pictures) for entry in run.entries)
    if not pictures:
        return f"Interrupted; none of {run.asked} pictures was made yet"
    return f"Interrupted; {pictures} of {run.asked} pictures {'is' if pictures == 1 else 'are'} in {run.directory}/"


async def _verify(
    platform: Platform, layout: Layout, samples: list[Sample], report: Callable[[SampleOutcome], None]
) -> None:
    """Report each outcome in this thread, until all are known or a part dies over and over."""
    stop = threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        for outcome in verify(_target(layout), samples, wait_s=_WAIT_S, stop=stop):
            asyncio.run_coroutine_threadsafe(_call(report, outcome), loop).result()

    working = asyncio.create_task(asyncio.to_thread(work))
    failing = asyncio.create_task(platform.failed())
    try:
        await asyncio.wait([working, failing], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise await failing
        await working
    finally:
        # The thread uses the platform's AWS: it must be gone before that is.
        stop.set()
        failing.cancel()
        await asyncio.wait([working])


async def _call(report: Callable[[SampleOutcome], None], outcome: SampleOutcome) -> None:
    report(outcome)


def _target(layout: Layout) -> Target:
    return Target(
        endpoint=layout.endpoint.rstrip("/"),
        api_key=layout.api_key,
        api_key_id=API_KEY_ID,
        bucket=OUTPUT_BUCKET,
        notice_topic_arn=NOTICE_TOPIC_ARN,
    )


def _step(outcome: SampleOutcome) -> str:
    name = f"{outcome.request.task_type} ({outcome.request.sample.api_version})"
    return f"{name} failed: {outcome.problem}" if outcome.problem else f"{name} in {outcome.seconds:.1f} s"


def _table(run: Run) -> Table:
    table = Table("Task", "API", "Runtime", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Seconds", justify="right")
    table.add_column("File", overflow="fold")
    for entry in run.entries:
        seconds = "-" if entry.seconds is None else f"{entry.seconds:.1f}"
        files = "\n".join(str(run.directory / name) for name in entry.pictures)
        table.add_row(entry.task, entry.api, entry.runtime, seconds, files or "failed")
    return table
