"""Every check of the project, one group after the other: ``make test``, or ``python test/suite.py GROUP …``."""

import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".local" / "test"
BIN = Path(sys.executable).parent
TOTAL_BUDGET_S = 900
TOLERANCE = 2
"""Time fails a group only above this many times its budget: machines are busy at times."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A command; where it is pytest, its report holds many tests, else it is one."""

    command: tuple[str, ...]
    report: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """Checks that belong together, with their budget on two cores."""

    name: str
    checks: tuple[Check, ...]
    budget_s: float


@dataclass(frozen=True, kw_only=True)
class Result:
    name: str
    seconds: float
    budget_s: float
    passed: int
    failed: int

    @property
    def too_slow(self) -> bool:
        return self.seconds > TOLERANCE * self.budget_s

    @property
    def verdict(self) -> str:
        if self.failed:
            return f"{self.failed} FAILED"
        if self.too_slow:
            return f"FAILED: more than {TOLERANCE} times its budget"
        return "passed, but over its budget" if self.seconds > self.budget_s else "passed"


def tool(name: str, *arguments: str) -> Check:
    return Check(command=(str(BIN / name), *arguments))


def pytest(name: str, *arguments: str) -> Check:
    report = REPORTS / f"{name}.xml"
    return Check(command=(str(BIN / "python"), "-m", "pytest", *arguments, f"--junitxml={report}"), report=report)


GROUPS = (
    Group(
        name="style",
        checks=(
            tool("ruff", "check", "--quiet", "."),
            tool("ruff", "format", "--check", "--quiet", "."),
            tool("mypy"),
        ),
        budget_s=30,
    ),
    Group(name="unit", checks=(pytest("unit", "test/unit"),), budget_s=80),
    Group(name="integration", checks=(pytest("integration", "test/integration"),), budget_s=300),
    Group(name="faults", checks=(pytest("faults", "test/faults"),), budget_s=240),
    Group(name="e2e", checks=(pytest("e2e", "test/e2e", "--ignore=test/e2e/test_demo.py"),), budget_s=80),
    Group(name="demo", checks=(pytest("demo", "test/e2e/test_demo.py"),), budget_s=50),
    Group(name="bench", checks=(tool("python", "-m", "bench", "--short"),), budget_s=120),
)


def run(group: Group) -> Result:
    """Run all checks of a group, the later ones too when one fails."""
    print(f"\n== {group.name}", flush=True)
    passed = failed = 0
    started = time.monotonic()
    for check in group.checks:
        if check.report is not None:
            check.report.unlink(missing_ok=True)
        code = subprocess.run(check.command, cwd=ROOT, check=False).returncode
        counted = counts(check.report)
        passed += counted[0] if counted else code == 0
        failed += max(counted[1], code != 0) if counted else code != 0
    seconds = time.monotonic() - started
    return Result(name=group.name, seconds=seconds, budget_s=group.budget_s, passed=passed, failed=failed)


def counts(report: Path | None) -> tuple[int, int] | None:
    """Passed and failed tests of a pytest report, if there is one."""
    if report is None or not report.exists():
        return None
    suite = ElementTree.parse(report).getroot().find("testsuite")
    if suite is None:
        return None
    tests, skipped, failed, broken = (int(suite.get(key, 0)) for key in ("tests", "skipped", "failures", "errors"))
    return tests - skipped - failed - broken, failed + broken


def show(results: Iterable[Result]) -> None:
    print(f"\n{'group':<12} {'seconds':>8} {'budget':>7}")
    for result in results:
        print(f"{result.name:<12} {result.seconds:8.1f} {result.budget_s:7.0f}  {result.verdict}")


def main(names: list[str]) -> int:
    known = [group.name for group in GROUPS]
    if unknown := [name for name in names if name not in known]:
        print(f"No such group: {', '.join(unknown)}. There are {', '.join(known)}.")
        return 2
    REPORTS.mkdir(parents=True, exist_ok=True)
    results = [run(group) for group in GROUPS if not names or group.name in names]
    total = Result(
        name="total",
        seconds=sum(result.seconds for result in results),
        budget_s=TOTAL_BUDGET_S,
        passed=sum(result.passed for result in results),
        failed=sum(result.failed for result in results),
    )
    show([*results, total])
    too_slow = sum(result.too_slow for result in (*results, total))
    print(f"{total.passed} passed, {total.failed + too_slow} failed")
    return 1 if total.failed or too_slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
