"""Every check of the project: ``make test``, ``make check``, or ``python test/suite.py GROUP …``.

Groups with real processes run one after the other. Beside them the others run, three at a time and with less priority,
so that they take only the processor time that is left.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / ".local" / "test"
BIN = Path(sys.executable).parent
FLUX_BIN = ROOT / ".venv-flux" / "bin"
UNIT_SHARDS = 2
LANES = {True: 3, False: 1}
"""How many groups run at once, of those that can wait for the processor and of the others; more than cores, because
tests wait, too."""
LIMIT_S = 2400
"""A group that takes longer hangs: it is interrupted, and fails."""
GRACE_S = 30
"""How long what is left of a group may take to end."""
LOOK_EVERY_S = 0.1
FAILED_LINES = 300
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, kw_only=True)
class Group:
    """Checks that one command makes; pytest writes a report of the group's name."""

    name: str
    command: tuple[str, ...]
    budget_s: float
    """How much processor time it should take on a quiet machine; this is printed, and never fails a run."""
    is_batch: bool = True
    """Whether it can wait for the processor; if not, it starts real processes."""

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.name}.xml"

    @property
    def log(self) -> Path:
        return REPORTS / f"{self.name}.log"

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace").rstrip()


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a group, or of all; ``skipped`` counts tests by the reason for which they were skipped."""

    name: str
    seconds: float
    cpu_s: float
    budget_s: float
    passed: int
    failed: int
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def verdict(self) -> str:
        if self.failed:
            return f"{self.failed} FAILED"
        verdict = "passed, but over its budget" if self.cpu_s > self.budget_s else "passed"
        return f"{verdict}, {self.skipped.total()} skipped" if self.skipped else verdict


def tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(BIN / name), *arguments)


def pytest(*arguments: str, folder: Path = BIN) -> tuple[str, ...]:
    return (str(folder / "python"), "-m", "pytest", "-q", *arguments)


def unit_shards() -> list[Group]:
    """The unit tests, a share of their files for each process."""
    files = sorted(str(file.relative_to(ROOT)) for file in ROOT.glob("test/unit/**/test_*.py"))
    shares = (files[number::UNIT_SHARDS] for number in range(UNIT_SHARDS))
    return [Group(name=f"unit-{number}", command=pytest(*share), budget_s=60) for number, share in enumerate(shares, 1)]


CHECK = [
    Group(name="style", command=tool("ruff", "check", "--quiet", "."), budget_s=5),
    Group(name="format", command=tool("ruff", "format", "--check", "--quiet", "."), budget_s=5),
    *unit_shards(),
    Group(name="types", command=tool("mypy"), budget_s=70),
]
"""What ``make check`` runs, in a minute."""
GROUPS = [
    # The longest first, so that none of them is left over at the end.
    Group(name="flux", command=pytest("test/flux", folder=FLUX_BIN), budget_s=240),
    Group(name="infra", command=pytest("test/infra"), budget_s=120),
    *CHECK,
    Group(name="images", command=pytest("test/images"), budget_s=80),
    Group(name="chart", command=pytest("test/chart"), budget_s=60),
    Group(name="deploy", command=pytest("test/deploy"), budget_s=60),
    # Short, it holds nothing against a limit.
    Group(name="bench", command=tool("python", "-m", "bench", "--short"), budget_s=120),
    Group(name="dialects", command=pytest("test/dialects"), budget_s=100),
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
    Group(name="console", command=tool("python", "-m", "test.console"), budget_s=120),
    Group(name="e2e", command=pytest("test/e2e", "--ignore=test/e2e/test_demo_flux.py"), budget_s=100, is_batch=False),
]


class Running:
    """The processes of a group: one, and all that it has started."""

    def __init__(self, group: Group) -> None:
        print(f"{group.name} …", flush=True)
        self.group, self.cpu_s, self.status, self._stopped_s = group, 0.0, None, 0.0
        self.status: int | None
        group.report.unlink(missing_ok=True)
        command = ["nice", *group.command] if group.is_batch else [*group.command]
        if "pytest" in group.command:
            command.append(f"--junitxml={group.report}")
        self._started_s = time.monotonic()
        with group.log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0
            )
        self.pid = self._process.pid

    def ended(self, status: int) -> None:
        """The first of the processes has ended; what it has left is killed if it stays."""
        self.status = self._process.returncode = status
        self.seconds = time.monotonic() - self._started_s
        self._stopped_s = time.monotonic()

    def is_over(self) -> bool:
        """Whether all processes have ended; one that takes too long is made to."""
        now_s = time.monotonic()
        if self._stopped_s and now_s > self._stopped_s + GRACE_S:
            self.kill()
        elif not self._stopped_s and now_s > self._started_s + LIMIT_S:
            with self.group.log.open("a", encoding="utf-8") as log:
                log.write(f"\n{self.group.name} is stopped: it has taken more than {LIMIT_S} s\n")
            self._stopped_s = now_s
            self._process.send_signal(signal.SIGINT)  # for which pytest says where it was
        if self.status is None:
            return False
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def result(self) -> Result:
        """What came of it."""
        passed, failed, skipped = int(self.status == 0), int(self.status != 0), Counter[str]()
        if self.group.report.exists():
            cases = list(ElementTree.parse(self.group.report).getroot().iter("testcase"))
            skips = [skip for case in cases for skip in case.iter("skipped")]
            broken = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
            passed, failed = len(cases) - len(skips) - broken, max(broken, failed)
            skipped = Counter(skip.get("message") or "for no reason" for skip in skips)
        return Result(
            name=self.group.name,
            seconds=self.seconds,
            cpu_s=self.cpu_s,
            budget_s=self.group.budget_s,
            passed=passed,
            failed=failed,
            skipped=skipped,
        )


def run_all(groups: Iterable[Group]) -> list[Result]:
    """Run groups; what one prints comes when it is over."""
    groups = list(groups)
    waiting, running, results = list(groups), dict[int, Running](), dict[str, Result]()
    try:
        while waiting or running:
            for group in list(waiting):
                if sum(one.group.is_batch is group.is_batch for one in running.values()) < LANES[group.is_batch]:
                    waiting.remove(group)
                    started = Running(group)
                    running[started.pid] = started
            time.sleep(LOOK_EVERY_S)
            reap(running)
            for pid, one in list(running.items()):
                if one.is_over():
                    del running[pid]
                    print(f"\n== {one.group.name}\n{one.group.printed}", flush=True)
                    results[one.group.name] = one.result()
    finally:
        for one in running.values():
            one.kill()
    return [results[group.name] for group in groups]


def reap(running: dict[int, Running]) -> None:
    """Wait for what has ended, and charge it to its group: this process inherits what a group leaves behind."""
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            one = running.get(os.getpgid(ended.si_pid))
            _, status, usage = os.wait4(ended.si_pid, 0)
            if one:
                one.cpu_s += usage.ru_utime + usage.ru_stime
                if ended.si_pid == one.pid:
                    one.ended(os.waitstatus_to_exitcode(status))


def main(names: list[str]) -> int:
    known = [group.name for group in GROUPS]
    if unknown := [name for name in names if name not in [*known, "check"]]:
        print(f"No such group: {', '.join(unknown)}. There are check, {', '.join(known)}.")
        return 2
    if "check" in names:
        names += [group.name for group in CHECK]
    # A shell's background job ignores it, and so would all that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    REPORTS.mkdir(parents=True, exist_ok=True)
    started_s = time.monotonic()
    groups = [group for group in GROUPS if not names or group.name in names]
    try:
        results = run_all(groups)
    except KeyboardInterrupt:
        return 130
    total = Result(
        name="total",
        seconds=time.monotonic() - started_s,
        cpu_s=sum(result.cpu_s for result in results),
        budget_s=sum(group.budget_s for group in groups),
        passed=sum(result.passed for result in results),
        failed=sum(result.failed for result in results),
        skipped=sum((result.skipped for result in results), Counter()),
    )
    # Once more, at the end: of a long log only the end may be kept.
    for group, result in zip(groups, results, strict=True):
        if result.failed:
            print("", f"== {group.name}, which failed", *group.printed.splitlines()[-FAILED_LINES:], sep="\n")
    print(f"\n{'group':<12} {'seconds':>8} {'of CPU':>8} {'budget':>7}")
    for result in [*results, total]:
        print(f"{result.name:<12} {result.seconds:8.1f} {result.cpu_s:8.1f} {result.budget_s:7.0f}  {result.verdict}")
    for reason, number in total.skipped.most_common():
        print(f"{number} skipped: {reason}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped.total()} skipped")
    # What tests need is installed with them, so that CI has no reason to skip any.
    return 1 if total.failed or ("CI" in os.environ and total.skipped) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
