"""``python -m local demo``: one request of each kind, from the API to a picture on disk."""

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.verify.samples import Sample, samples_of
from deploy.verify.target import local_target
from deploy.verify.verification import SampleOutcome, verify
from local.console import plain
from local.icons import ICONS_OF_DEMO, ask_for_icons
from local.layout import Layout
from local.platform import Platform, running
from local.sheet import DemoOutput

_WAIT_S = 120.0


async def run_demo(layout: Layout, out: Path, console: Console, *, platform: str | None) -> bool:
    """Post the samples of every runtime on a separate platform; return whether each gave a picture.

    The run gets a new directory in ``out``. ``platform`` is the command that starts a platform for these requests;
    None if there is none.

    Raises:
        PartFailedError, DeployError: The platform did not start, or a request could not be posted.
        CancelledError: Somebody interrupted it; the pictures drawn so far are saved.
    """
    say = plain(console)
    samples = samples_of(layout.config.catalog)
    say("Starting the platform …")
    asked = len(samples) + (0 if layout.config.icons is None else ICONS_OF_DEMO)
    output = DemoOutput(out, layout.config, asked=asked, platform=platform)

    def report(outcome: SampleOutcome) -> None:
        output.save(outcome)
        say(f"  {_step(outcome)}")

    with console.status("Starting") as status:
        try:
            async with running(layout, progress=lambda step: say(f"  {step}")) as parts:
                say(f"Posting {len(samples)} requests …")
                status.update("Waiting for their pictures")
                await _verify(parts, layout, samples, report)
                if layout.config.icons is not None:
                    status.update("Asking for icons")
                    await asyncio.to_thread(_save_icons, layout, output, say)
                status.update("Ending")
        except asyncio.CancelledError:
            say(_interruption(output))
            raise
        finally:
            sheet = output.write_sheet()
    console.print()
    console.print(_table(output))
    for entry in output.entries:
        if entry["problem"] is not None:
            logs = f"{layout.logs}/{entry['runtime']}-agent.log and -server.log"
            say(f"{entry['runtime']}: {entry['problem']}\n  Logs: {logs}")
    say(f"\nAll pictures on one page: {sheet}")
    return all(entry["problem"] is None for entry in output.entries)


def _save_icons(layout: Layout, output: DemoOutput, say: Callable[[str], None]) -> None:
    for answer in ask_for_icons(layout):
        output.save_icon(answer)
        how = answer.problem or f"{'drawn' if answer.was_drawn else 'found'} in {answer.seconds:.2f} s"
        say(f'  icon "{answer.request["query"]}": {how}')


def _interruption(output: DemoOutput) -> str:
    pictures, asked = sum(bool(entry["pictures"]) for entry in output.entries), output.asked
    if not pictures:
        return f"Interrupted; none of {asked} pictures was made yet"
    return f"Interrupted; {pictures} of {asked} pictures {'is' if pictures == 1 else 'are'} in {output.directory}/"


async def _verify(
    platform: Platform, layout: Layout, samples: list[Sample], report: Callable[[SampleOutcome], None]
) -> None:
    """Report each outcome, from a thread, until all are known or a part keeps dying."""
    stop = threading.Event()
    target = local_target(json.loads(layout.stack_file.read_text(encoding="utf-8")))

    def work() -> None:
        for outcome in verify(target, samples, wait_s=_WAIT_S, stop=stop):
            report(outcome)

    working = asyncio.create_task(asyncio.to_thread(work))
    failing = asyncio.create_task(platform.failed())
    try:
        await asyncio.wait([working, failing], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise await failing
        await working
    finally:
        # The thread uses the platform's AWS, so it must end first.
        stop.set()
        failing.cancel()
        await asyncio.wait([working])


def _step(outcome: SampleOutcome) -> str:
    name = f"{outcome.request.task_type} ({outcome.request.sample.api_version})"
    return f"{name} failed: {outcome.problem}" if outcome.problem else f"{name} in {outcome.seconds:.1f} s"


def _table(output: DemoOutput) -> Table:
    table = Table("Task", "API", "Runtime", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Seconds", justify="right")
    table.add_column("File", overflow="fold")
    for entry in output.entries:
        seconds = "-" if entry["seconds"] is None else f"{entry['seconds']:.1f}"
        files = "\n".join(str(output.directory / name) for name in entry["pictures"])
        table.add_row(entry["task"], entry["api"], entry["runtime"], seconds, files or "failed")
    return table
