"""Posts cases, so many at once, and waits for what becomes of each."""

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.editing.cases import Body, Case
from bench.editing.contents import ContentError, fill
from bench.editing.noticing import NoNoticeError, NoticeBoard
from bench.editing.platform import Platform, TaskError, task_body
from bench.editing.results import PICTURES, CaseResult, Timings
from contract.notice import Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How cases are posted.

    Attributes:
        run: Begins the ids of the tasks.
        runtime: Name of the runtime that is to do them.
        folder: Where the cases' files are.
        template: What cases without a body of their own are written with.
        out: Where the pictures go.
        wait_s: Seconds after which a task without a notice has failed.
    """

    run: str
    runtime: str
    folder: Path
    template: Body
    out: Path
    wait_s: float


def run_cases(
    cases: Sequence[Case], order: Order, platform: Platform, board: NoticeBoard, concurrency: int
) -> Iterator[CaseResult]:
    """Do all cases and yield each one's result as it comes; the failure of one ends no other."""
    (order.out / PICTURES).mkdir(parents=True, exist_ok=True)
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="case")
    try:
        for future in as_completed([pool.submit(run_case, case, order, platform, board) for case in cases]):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def run_case(case: Case, order: Order, platform: Platform, board: NoticeBoard) -> CaseResult:
    """Post a case, wait for its notice and save its picture."""
    task_id = f"{order.run}-{case.id}"
    timings = None
    try:
        content = fill(case, order.folder, order.template, platform.link)
        request = task_body(task_id, order.runtime, content, order.run)
        posted_at = time.monotonic()
        platform.post(request)
        heard = board.wait(task_id, order.wait_s)
        timings = Timings(total_s=heard.at - posted_at)
        timings = timings.model_copy(update=_told_timings(heard.notice, platform))
        picture = _save(case, heard.notice, order.out, platform)
    except (ContentError, TaskError, NoNoticeError) as exc:
        return CaseResult(case=case.id, problem=str(exc), timings=timings)
    return CaseResult(case=case.id, timings=timings, picture=picture)


def _save(case: Case, notice: Notice, out: Path, platform: Platform) -> str:
    """Save the last picture of a task: one before it is an early look."""
    if not notice.result:
        raise TaskError(f"{notice.error.code}: {notice.error.message}" if notice.error else notice.status)
    if not notice.image_url:
        raise TaskError("Its notice names no picture.")
    picture = platform.fetch(notice.image_url[-1])
    name = f"{PICTURES}/{case.id}.{picture.extension}"
    (out / name).write_bytes(picture.content)
    return name


def _told_timings(notice: Notice, platform: Platform) -> dict[str, float]:
    """What the manifest tells of a task's time."""
    manifest = platform.manifest(notice.output_url or "")
    told = {"server_s": _seconds(manifest, "timings_s", "run")}
    told["preview_s"] = _seconds(manifest, "answer", "timings_s", "preview")
    return {name: seconds for name, seconds in told.items() if seconds is not None}


def _seconds(manifest: Mapping[str, Any], *path: str) -> float | None:
    value: Any = manifest
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if isinstance(value, int | float) else None
