"""Every check of the project, one group after the other: ``make test``, or ``python test/suite.py GROUP …``."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".local" / "test"
BIN = Path(sys.executable).parent
FLUX_BIN = ROOT / ".venv-flux" / "bin"
TOTAL_BUDGET_S = 900
"""Budgets are for two quiet cores. They are printed beside the time taken, and never fail a run."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A command; where it is pytest, its report holds many tests, else it is one."""

    command: tuple[str, ...]
    report: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Checks that belong together, with their budget on two cores; they run beside others if ``beside_others``."""

    name: str
    checks: tuple[Check, ...]
    budget_s: float
    beside_others: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    seconds: float
    budget_s: float
    passed: int
    failed: int
    skipped: Counter[str] = field(default_factory=Counter)
    """How many tests were skipped, by reason."""

    @property
    def verdict(self) -> str:
        if self.failed:
            return f"{self.failed} FAILED"
        verdict = "passed, but over its budget" if self.seconds > self.budget_s else "passed"
        return f"{verdict}, {self.skipped.total()} skipped" if self.skipped else verdict


def tool(name: str, *arguments: str) -> Check:
    return Check(command=(str(BIN / name), *arguments))


def pytest(name: str, *arguments: str, folder: Path = BIN) -> Check:
    report = REPORTS / f"{name}.xml"
    return Check(command=(str(folder / "python"), "-m", "pytest", *arguments, f"--junitxml={report}"), report=report)


GROUPS = (
    Group(
        name="style",
        checks=(
            tool("ruff", "check", "--quiet", "."),
            tool("ruff", "format", "--check", "--quiet", "."),
            tool("mypy"),
        ),
        budget_s=80,
    ),
    Group(name="unit", checks=(pytest("unit", "test/unit"),), budget_s=80, beside_others=True),
    Group(name="infra", checks=(pytest("infra", "test/infra"),), budget_s=120, beside_others=True),
    Group(name="chart", checks=(pytest("chart", "test/chart"),), budget_s=60, beside_others=True),
    Group(name="deploy", checks=(pytest("deploy", "test/deploy"),), budget_s=60, beside_others=True),
    Group(name="images", checks=(pytest("images", "test/images"),), budget_s=80, beside_others=True),
    Group(name="flux", checks=(pytest("flux", "test/flux", folder=FLUX_BIN),), budget_s=240, beside_others=True),
    Group(name="agent", checks=(pytest("agent", "test/integration/agent"),), budget_s=300, beside_others=True),
    Group(
        name="integration",
        checks=(pytest("integration", "test/integration", "--ignore=test/integration/agent"),),
        budget_s=100,
        beside_others=True,
    ),
    Group(name="faults", checks=(pytest("faults", "test/faults"),), budget_s=290),
    Group(name="e2e", checks=(pytest("e2e", "test/e2e", "--ignore-glob=*/test_demo*.py"),), budget_s=80),
    Group(name="demo", checks=(pytest("demo", "test/e2e/test_demo.py"),), budget_s=50),
    Group(
        name="demo-flux", checks=(pytest("demo-flux", "test/e2e/test_demo_flux.py"),), budget_s=90, beside_others=True
    ),
    # Short, it holds nothing against a limit, so that it need not have the machine for itself.
    Group(name="bench", checks=(tool("python", "-m", "bench", "--short"),), budget_s=120, beside_others=True),
)


def run(group: Group) -> Result:
    """Run all checks of a group, the later ones too when one fails; what they print comes when all are done."""
    print(f"{group.name} …", flush=True)
    printed = [f"\n== {group.name}"]
    passed = failed = 0
    skipped: Counter[str] = Counter()
    started = time.monotonic()
    for check in group.checks:
        if check.report is not None:
            check.report.unlink(missing_ok=True)
        done = subprocess.run(
            check.command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        printed.append(done.stdout.rstrip())
        counted = counts(check.report)
        passed += counted[0] if counted else done.returncode == 0
        failed += max(counted[1], done.returncode != 0) if counted else done.returncode != 0
        skipped += reasons(check.report)
    seconds = time.monotonic() - started
    print("\n".join(filter(None, printed)), flush=True)
    return Result(
        name=group.name, seconds=seconds, budget_s=group.budget_s, passed=passed, failed=failed, skipped=skipped
    )


def run_all(groups: Sequence[Group]) -> list[Result]:
    """Run first what may run beside others, three groups at a time, those with the largest budgets first.

    Three, on two cores: the longest of them mostly waits.
    """
    beside = sorted((group for group in groups if group.beside_others), key=lambda group: -group.budget_s)
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(run, beside))
    return results + [run(group) for group in groups if not group.beside_others]


def counts(report: Path | None) -> tuple[int, int] | None:
    """Passed and failed tests of a pytest report, if there is one."""
    if report is None or not report.exists():
        return None
    suite = ElementTree.parse(report).getroot().find("testsuite")
    if suite is None:
        return None
    tests, skipped, failed, broken = (int(suite.get(key, 0)) for key in ("tests", "skipped", "failures", "errors"))
    return tests - skipped - failed - broken, failed + broken


def reasons(report: Path | None) -> Counter[str]:
    """How many tests of a pytest report were skipped, or fail as is known, by reason."""
    if report is None or not report.exists():
        return Counter()
    skips = ElementTree.parse(report).getroot().iter("skipped")
    return Counter(skip.get("message") or "for no reason" for skip in skips)


def show(results: Iterable[Result]) -> None:
    print(f"\n{'group':<12} {'seconds':>8} {'budget':>7}")
    for result in results:
        print(f"{result.name:<12} {result.seconds:8.1f} {result.budget_s:7.0f}  {result.verdict}")


def main(names: list[str]) -> int:
    known = [group.name for group in GROUPS]
    if unknown := [name for name in names if name not in known]:
        print(f"No such group: {', '.join(unknown)}. There are {', '.join(known)}.")
        return 2
    # A shell's background job ignores it, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    REPORTS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    results = run_all([group for group in GROUPS if not names or group.name in names])
    total = Result(
        name="total",
        seconds=time.monotonic() - started,
        budget_s=TOTAL_BUDGET_S,
        passed=sum(result.passed for result in results),
        failed=sum(result.failed for result in results),
        skipped=sum((result.skipped for result in results), Counter()),
    )
    show([*results, total])
    for reason, number in total.skipped.most_common():
        print(f"{number} skipped: {reason}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped.total()} skipped")
    # What tests need is installed with them, so that CI has no reason to skip any.
    return 1 if total.failed or ("CI" in os.environ and total.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
