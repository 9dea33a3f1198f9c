"""Measures how well and how fast a runtime edits pictures: ``python -m bench.editing make`` and ``… run``."""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

from rich.progress import track

from bench.editing.cases import UNREADABLE, BenchError, Case, CaseError, EditBody, fill, read_cases, read_template
from bench.editing.page import write_page
from bench.editing.platform import PlatformClient, add_platform_options, connect, seconds_of
from bench.editing.report import PICTURES, CaseResult, EditingRun, write_report
from bench.editing.scenes import make_cases
from bench.editing.usage import measured_usage

_INTERRUPTED = 130


def main() -> int:
    """Run the command; return 1 if that is impossible. Failed cases are part of the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.editing", description=__doc__)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("make", help="make a folder of cases with known answers")
    make.set_defaults(command=_make)
    make.add_argument("folder", type=Path)
    make.add_argument("--count", type=int, default=100, help="how many (%(default)s)")
    make.add_argument("--seed", type=int, default=1, help="another seed makes other cases (%(default)s)")
    run = commands.add_parser("run", help="post all cases of a folder and write a report")
    run.set_defaults(command=_run)
    run.add_argument("folder", type=Path)
    run.add_argument("--out", type=Path, required=True, help="folder of the report and the pictures")
    run.add_argument("--concurrency", type=int, default=4, help="jobs at once (%(default)s)")
    run.add_argument("--memory-url", action="append", default=[], help="/health of a flux server, /metrics of DCGM")
    run.add_argument("--endpoint", help="a deployed platform's API, instead of the local one")
    add_platform_options(run)
    arguments = parser.parse_args()
    try:
        arguments.command(arguments)
    except BenchError as exc:
        print(exc, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _make(arguments: argparse.Namespace) -> None:
    cases = make_cases(arguments.folder, arguments.count, arguments.seed)
    made = sum(1 for _ in track(cases, "Making cases", total=arguments.count))
    print(f"{made} cases are in {arguments.folder}.")


def _run(arguments: argparse.Namespace) -> None:
    """Run all cases, compare their pictures and write the report.

    Raises:
        BenchError: The cases, the template or the platform cannot be used.
    """
    cases, template = read_cases(arguments.folder), read_template(arguments.template)
    (arguments.out / PICTURES).mkdir(parents=True, exist_ok=True)
    settings = {"Began": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"}
    settings |= {name.capitalize(): str(getattr(arguments, name)) for name in ("runtime", "template", "concurrency")}
    pool, started = ThreadPoolExecutor(arguments.concurrency, thread_name_prefix="case"), time.monotonic()
    try:
        with connect(arguments, arguments.endpoint) as sd, measured_usage(arguments.memory_url) as usage:
            platform = PlatformClient(sd)
            futures = [pool.submit(run_case, case, template, platform, arguments) for case in cases]
            for _ in track(as_completed(futures), "Editing", len(cases)):
                pass
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    results = [future.result() for future in futures]
    wall_s = time.monotonic() - started
    run = EditingRun(id=platform.run, settings=settings, wall_s=wall_s, results=results, usage=usage)
    _compare(run, cases, arguments.folder, arguments.out)
    write_page(run, cases, arguments.folder, arguments.out)
    print(write_report(run, cases, arguments.out))


def run_case(case: Case, template: EditBody, platform: PlatformClient, arguments: argparse.Namespace) -> CaseResult:
    """Submit a case, wait for its end, save its picture."""
    result, task_id = CaseResult(case.id), f"{platform.run}-{case.id}"
    try:
        request = platform.request(task_id, arguments.runtime, fill(case, arguments.folder, template, platform.link))
        job = platform.wait(platform.submit(request), arguments.wait)
        result.total_s = seconds_of(job)
        result.server_s, result.preview_s = platform.timings(job)
        picture = platform.picture(job)
        result.picture = f"{PICTURES}/{case.id}.{picture.extension}"
        (arguments.out / result.picture).write_bytes(picture.content)
    except CaseError as exc:
        result.problem = str(exc)
    return result


def _compare(run: EditingRun, cases: Sequence[Case], folder: Path, out: Path) -> None:
    """Score all results with a picture and a reference. This comes after the run, because it would slow it down."""
    from bench.editing import likeness  # noqa: PLC0415 - numpy and scikit-image take a second

    compared = []
    for result, case in zip(run.results, cases, strict=True):
        if result.picture is None or case.reference is None:
            continue
        reference = folder / case.reference
        try:
            result.psnr_db, result.ssim = likeness.psnr_and_ssim((out / result.picture, reference))
            compared.append((result, (out / result.picture, reference)))
            if case.input is not None:
                result.unedited_psnr_db, result.unedited_ssim = likeness.psnr_and_ssim((folder / case.input, reference))
        except UNREADABLE as exc:
            result.problem = f"The picture cannot be compared: {exc}"
    try:
        distances, run.fid = likeness.lpips_and_fid([pair for _, pair in compared])
        for (result, _), distance in zip(compared, distances, strict=True):
            result.lpips = distance
    except (ImportError, OSError, RuntimeError) as exc:
        run.remarks.append(f"LPIPS and FID were not computed: {exc}")


if __name__ == "__main__":
    sys.exit(main())
