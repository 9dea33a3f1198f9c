"""One run from the first request to the written report."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from rich.progress import Progress

from bench.editing.cases import BenchError, Case, read_cases
from bench.editing.contents import read_template
from bench.editing.noticing import NoticeBoard
from bench.editing.platform import Platform, new_run_id
from bench.editing.report import write_report
from bench.editing.resources import ResourceSampler
from bench.editing.results import CaseResult, Run
from bench.editing.running import Order, run_cases
from bench.editing.scoring import scored, with_learned_scores
from deploy.verify.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run.

    Attributes:
        folder: The cases.
        out: Where everything is written.
        runtime: Name of the runtime.
        template: Name of the template, or its file.
        concurrency: How many tasks are under way at once.
        wait_s: Seconds after which a task without a notice has failed.
        memory_urls: Where the model server tells of its memory.
    """

    folder: Path
    out: Path
    runtime: str
    template: str
    concurrency: int
    wait_s: float
    memory_urls: list[str] = field(default_factory=list)


def measure(plan: Plan, target: Target, progress: Progress) -> Path:
    """Have all cases done, compare their pictures and write results.json and report.html; gives the latter.

    Raises:
        BenchError: The cases, the template or the platform cannot be used at all.
    """
    cases = read_cases(plan.folder)
    run = _posted(plan, cases, target, progress)
    run = _compared(run, plan, cases, progress)
    run.write(plan.out)
    return write_report(run, cases, plan.folder, plan.out)


def _posted(plan: Plan, cases: list[Case], target: Target, progress: Progress) -> Run:
    run_id, began = new_run_id(), datetime.now(UTC)
    order = Order(
        run=run_id,
        runtime=plan.runtime,
        folder=plan.folder,
        template=read_template(plan.template),
        out=plan.out,
        wait_s=plan.wait_s,
    )
    results: list[CaseResult] = []
    try:
        with NoticeBoard(target, run_id) as board, ResourceSampler(plan.memory_urls) as sampler:
            started = time.monotonic()
            doing = run_cases(cases, order, Platform(target, run_id), board, plan.concurrency)
            results.extend(progress.track(doing, total=len(cases), description="Editing"))
            wall_s = time.monotonic() - started
    except (BotoCoreError, ClientError) as exc:
        raise BenchError(f"AWS refused: {exc}") from exc
    places = {case.id: place for place, case in enumerate(cases)}
    return Run(
        id=run_id,
        began=began,
        runtime=plan.runtime,
        template=plan.template,
        concurrency=plan.concurrency,
        wall_s=wall_s,
        results=sorted(results, key=lambda result: places[result.case]),
        usage=sampler.usage(),
    )


def _compared(run: Run, plan: Plan, cases: list[Case], progress: Progress) -> Run:
    """Scores come after the run: on one machine they would slow it down."""
    by_id = {case.id: case for case in cases}
    results = [
        scored(result, by_id[result.case], plan.folder, plan.out)
        for result in progress.track(run.results, description="Comparing")
    ]
    results, fid, remarks = with_learned_scores(results, cases, plan.folder, plan.out)
    return run.model_copy(update={"results": results, "fid": fid, "remarks": remarks})
