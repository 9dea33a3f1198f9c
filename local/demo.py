"""``python -m local demo``: one request of each kind, from the API to a picture on disk."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contract.config import Config
from deploy.verify.samples import Sample, samples_for
from deploy.verify.target import Target
from deploy.verify.verification import Outcome, verify
from local.aws import NOTICE_TOPIC_ARN, OUTPUT_BUCKET
from local.console import plain
from local.parts import SAMPLE_CHECKPOINT
from local.platform import Platform, PlatformSettings
from local.stack import Stack

_WAIT_S = 120.0


async def run_demo(settings: PlatformSettings, out: Path, console: Console) -> bool:
    """Run the samples of every runtime on a platform of their own; return whether all gave a picture.

    Args:
        settings: How to run the platform.
        out: Directory for the pictures.
        console: Where progress and the table go.

    Raises:
        AlreadyRunningError, PartFailedError, VerifyError: It did not come to that.
    """
    say = plain(console)
    samples = demo_samples(settings.config)
    say("Starting the platform …")
    with console.status("Starting") as status:
        async with Platform(settings, progress=lambda step: say(f"  {step}")) as platform:
            say(f"Posting {len(samples)} requests …")
            status.update("Waiting for their pictures")
            outcomes = await _outcomes(platform, samples, lambda outcome: say(f"  {_step(outcome)}"))
            status.update("Ending")
    console.print()
    console.print(_table(outcomes, _Files(out, settings.config)))
    failed = [outcome for outcome in outcomes if outcome.problem is not None]
    for outcome in failed:
        name = outcome.request.sample.runtime
        say(f"{name}: {outcome.problem}\n  Logs: {settings.state / 'logs'}/{name}-agent.log and {name}-server.log")
    return not failed


def demo_samples(config: Config) -> list[Sample]:
    """The samples of every runtime; of v1alpha1 those that name a checkpoint which leads to exactly this runtime."""
    samples = []
    for runtime in config.catalog:
        checkpoint = runtime.model_filename or SAMPLE_CHECKPOINT
        versions = ["v1alpha2"]
        if runtime.runtime_type.v1alpha1_task_types and config.catalog.for_checkpoint(checkpoint) == runtime:
            versions.append("v1alpha1")
        for version in versions:
            samples += samples_for(
                runtime.type,
                version,
                runtime=runtime.name,
                checkpoint=checkpoint,
                task_types=None if runtime.card is None else runtime.task_types,
            )
    return samples


async def _outcomes(platform: Platform, samples: list[Sample], report: Callable[[Outcome], None]) -> list[Outcome]:
    """Wait for all outcomes, unless a part dies over and over."""
    stop = threading.Event()
    loop = asyncio.get_running_loop()

    def work() -> list[Outcome]:
        outcomes = []
        for outcome in verify(_target(platform.stack), samples, wait_s=_WAIT_S, stop=stop):
            loop.call_soon_threadsafe(report, outcome)
            outcomes.append(outcome)
        return outcomes

    working = asyncio.create_task(asyncio.to_thread(work))
    failing = asyncio.create_task(platform.failed())
    try:
        await asyncio.wait([working, failing], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise await failing
        return await working
    finally:
        # The thread uses the platform's AWS: it must be gone before that is.
        stop.set()
        failing.cancel()
        await asyncio.wait([working])


def _target(stack: Stack) -> Target:
    return Target(
        endpoint=stack.endpoint.rstrip("/"),
        api_key=stack.api_key,
        bucket=OUTPUT_BUCKET,
        notice_topic_arn=NOTICE_TOPIC_ARN,
    )


def _step(outcome: Outcome) -> str:
    name = f"{outcome.request.task_type} ({outcome.request.sample.api_version})"
    return f"{name} failed: {outcome.problem}" if outcome.problem else f"{name} in {outcome.seconds:.1f} s"


class _Files:
    """The directory of the pictures. File names are short as long as no two runtimes have the same type."""

    def __init__(self, directory: Path, config: Config) -> None:
        types = [runtime.type for runtime in config.catalog]
        self._directory = directory
        self._alone = {runtime.name for runtime in config.catalog if types.count(runtime.type) == 1}

    def save(self, outcome: Outcome) -> list[str]:
        """Save a sample's pictures; return their paths."""
        sample = outcome.request.sample
        runtime = None if sample.runtime in self._alone else sample.runtime
        version = None if sample.api_version == "v1alpha2" else sample.api_version
        self._directory.mkdir(parents=True, exist_ok=True)
        files = []
        for number, picture in enumerate(outcome.pictures, start=1):
            stem = "-".join(filter(None, (runtime, sample.name, version, str(number) if number > 1 else None)))
            file = self._directory / f"{stem}.{picture.extension}"
            file.write_bytes(picture.content)
            files.append(str(file))
        return files


def _table(outcomes: list[Outcome], out: _Files) -> Table:
    """Save the pictures and list them."""
    table = Table("Task", "API", "Runtime", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Seconds", justify="right")
    table.add_column("File", overflow="fold")
    for outcome in outcomes:
        sample, files = outcome.request.sample, out.save(outcome)
        seconds = "-" if outcome.seconds is None else f"{outcome.seconds:.1f}"
        table.add_row(
            outcome.request.task_type, sample.api_version, sample.runtime, seconds, "\n".join(files) or "failed"
        )
    return table
