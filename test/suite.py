"""Every check of the project: ``make test``, ``make check``, or ``python test/suite.py GROUP …``.

Groups with real processes run one after the other. Beside them the others run, three at a time and with less priority,
so that they take only the processor time that is left.
"""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".local" / "test"
BIN = Path(sys.executable).parent
FLUX_BIN = ROOT / ".venv-flux" / "bin"
UNIT_SHARDS = 4
BATCH_LANES = 3
"""More than cores: tests wait, too."""
TOTAL_BUDGET_S = 600
"""Budgets are for two quiet cores. They are printed beside the time taken, and never fail a run."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Checks that one command makes; pytest writes a report of the group's name."""

    name: str
    command: tuple[str, ...]
    budget_s: float
    """How long it should take on two quiet cores, beside others."""
    is_batch: bool = True
    """Whether it can wait for the processor; if not, it starts real processes."""

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.name}.xml"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a group, or of all; ``skipped`` counts tests by the reason for which they were skipped."""

    name: str
    seconds: float
    budget_s: float
    passed: int
    failed: int
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        if self.failed:
            return f"{self.failed} FAILED"
        verdict = "passed, but over its budget" if self.seconds > self.budget_s else "passed"
        return f"{verdict}, {self.skipped.total()} skipped" if self.skipped else verdict


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def pytest(*arguments: str, folder: Path = BIN) -> tuple[str, ...]:
    return (str(folder / "python"), "-m", "pytest", "-q", *arguments)


def unit_shards() -> list[Group]:
    """The unit tests, a share of their files for each process."""
    files = sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("test/unit/**/test_*.py"))
    shares = (files[number::UNIT_SHARDS] for number in range(UNIT_SHARDS))
    return [Group(name=f"unit-{number}", command=pytest(*share), budget_s=40) for number, share in enumerate(shares, 1)]


CHECK = [
    Group(name="style", command=tool("ruff", "check", "--quiet", "."), budget_s=5),
    Group(name="format", command=tool("ruff", "format", "--check", "--quiet", "."), budget_s=5),
    *unit_shards(),
    Group(name="types", command=tool("mypy"), budget_s=40),
]
"""What ``make check`` runs, in a minute."""
GROUPS = [
    *CHECK,
    Group(name="flux", command=pytest("test/flux", folder=FLUX_BIN), budget_s=240),
    Group(name="infra", command=pytest("test/infra"), budget_s=120),
    Group(name="images", command=pytest("test/images"), budget_s=80),
    Group(name="chart", command=pytest("test/chart"), budget_s=60),
    Group(name="deploy", command=pytest("test/deploy"), budget_s=60),
    # Short, it holds nothing against a limit.
    Group(name="bench", command=tool("python", "-m", "bench", "--short"), budget_s=120),
    Group(name="demo-flux", command=pytest("test/e2e/test_demo_flux.py"), budget_s=90),
    Group(name="faults", command=pytest("test/faults"), budget_s=200, is_batch=False),
    Group(name="agent", command=pytest("test/integration/agent"), budget_s=80, is_batch=False),
    Group(name="api", command=pytest("test/integration/api"), budget_s=120, is_batch=False),
    Group(
        name="integration",
        command=pytest("test/integration", "--ignore=test/integration/agent", "--ignore=test/integration/api"),
        budget_s=80,
        is_batch=False,
    ),
    Group(name="e2e", command=pytest("test/e2e", "--ignore=test/e2e/test_demo_flux.py"), budget_s=100, is_batch=False),
]


def run(group: Group) -> Result:
    """Run a group; what it prints comes when it is done."""
    print(f"{group.name} …", flush=True)
    group.report.unlink(missing_ok=True)
    is_pytest = "pytest" in group.command
    command = [*group.command, *([f"--junitxml={group.report}"] if is_pytest else [])]
    if group.is_batch:
        command = ["nice", *command]
    started_s = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.monotonic() - started_s
    print(f"\n== {group.name}\n{done.stdout.rstrip()}", flush=True)
    passed, failed, skipped = int(done.returncode == 0), int(done.returncode != 0), Counter[str]()
    if group.report.exists():
        cases = list(ElementTree.parse(group.report).getroot().iter("testcase"))
        skips = [skip for case in cases for skip in case.iter("skipped")]
        broken = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
        passed, failed = len(cases) - len(skips) - broken, max(broken, failed)
        skipped = Counter(skip.get("message") or "for no reason" for skip in skips)
    return Result(
        name=group.name, seconds=seconds, budget_s=group.budget_s, passed=passed, failed=failed, skipped=skipped
    )


def run_all(groups: Iterable[Group]) -> list[Result]:
    with ThreadPoolExecutor(BATCH_LANES) as batch, ThreadPoolExecutor(1) as rigs:
        futures: list[Future[Result]] = [(batch if group.is_batch else rigs).submit(run, group) for group in groups]
    return [future.result() for future in futures]


def main(names: list[str]) -> int:
    known = [group.name for group in GROUPS]
    if unknown := [name for name in names if name not in [*known, "check"]]:
        print(f"No such group: {', '.join(unknown)}. There are check, {', '.join(known)}.")
        return 2
    if "check" in names:
        names += [group.name for group in CHECK]
    # A shell's background job ignores it, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    REPORTS.mkdir(parents=True, exist_ok=True)
    started_s = time.monotonic()
    results = run_all(group for group in GROUPS if not names or group.name in names)
    total = Result(
        name="total",
        seconds=time.monotonic() - started_s,
        budget_s=60 if "check" in names else TOTAL_BUDGET_S,
        passed=sum(result.passed for result in results),
        failed=sum(result.failed for result in results),
        skipped=sum((result.skipped for result in results), Counter()),
    )
    print(f"\n{'group':<12} {'seconds':>8} {'budget':>7}")
    for result in [*results, total]:
        print(f"{result.name:<12} {result.seconds:8.1f} {result.budget_s:7.0f}  {result.verdict}")
    for reason, number in total.skipped.most_common():
        print(f"{number} skipped: {reason}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped.total()} skipped")
    # What tests need is installed with them, so that CI has no reason to skip any.
    return 1 if total.failed or ("CI" in os.environ and total.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
