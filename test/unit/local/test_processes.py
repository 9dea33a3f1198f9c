import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from local import processes
from local.output import PartOutput
from local.processes import Part, PartFailedError, Probe, SupervisedProcess

ROOT = Path(__file__).resolve().parents[3]

StartProcess = Callable[..., SupervisedProcess]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartProcess]:
    started: list[SupervisedProcess] = []

    def start_process(script: str, *, probe: Probe | None = None) -> SupervisedProcess:
        environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"}
        part = Part(name="part", command=(sys.executable, "-c", script), environment=environment, probe=probe)
        process = SupervisedProcess(part, PartOutput("part", tmp_path / "part.log"), directory=tmp_path)
        started.append(process)
        process.start()
        return process

    yield start_process
    for process in started:
        await process.stop(0)


async def until(condition: Callable[[], bool], timeout_s: float = 5) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but is not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_process_that_ends_is_started_again(start: StartProcess) -> None:
    process = start("import time; print('here'); time.sleep(60)")
    await until(lambda: process.output.last_lines == ["here"])
    first = process.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: process.output.last_lines[-1:] == ["here"] and len(process.output.last_lines) == 3)
    assert process.output.last_lines == ["here", "[killed by SIGKILL; starts again in 0.5 s]", "here"]
    assert process.pid != first


async def test_pauses_between_restarts_grow(start: StartProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_RESTART_S", 0.01)
    process = start("raise SystemExit(3)")
    await until(lambda: len(process.output.last_lines) >= 4)
    pauses = [float(line.split()[-2]) for line in process.output.last_lines]
    assert pauses[:4] == [0.01, 0.02, 0.04, 0.08]


async def test_a_process_that_ends_over_and_over_is_reported_with_its_log(
    start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "_RESTART_S", 0.01)
    process = start("print('no such file'); raise SystemExit(3)")
    failure = await asyncio.wait_for(process.failed(), 5)
    assert str(failure).startswith("part ended")
    assert "no such file" in failure.output.last_lines
    assert "no such file" in failure.output.path.read_text()


async def test_waiting_for_a_process_that_never_gets_ready_ends_in_time(start: StartProcess) -> None:
    async def never() -> bool:
        return False

    process = start("import time; time.sleep(60)", probe=never)
    with pytest.raises(PartFailedError, match=r"part was not ready within 0\.2 seconds"):
        await process.wait_ready(0.2)


async def test_stopping_lets_a_process_finish_within_its_grace(start: StartProcess) -> None:
    script = """
import signal, sys, time
def end(*_):
    print("cleaning up"); time.sleep(0.2); print("done"); sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("ready"); time.sleep(60)
"""
    process = start(script)
    await until(lambda: process.output.last_lines == ["ready"])
    await process.stop(5)
    assert process.output.last_lines == ["ready", "cleaning up", "done"]


async def test_stopping_kills_a_process_that_ignores_sigterm(start: StartProcess) -> None:
    process = start("import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)")
    await until(lambda: process.output.last_lines == ["ready"])
    pid = process.pid
    assert pid is not None
    started = time.monotonic()
    await process.stop(0.3)
    assert time.monotonic() - started >= 0.3
    assert not alive(pid)


async def test_cancelling_a_stop_kills_at_once(start: StartProcess) -> None:
    process = start("import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)")
    await until(lambda: process.output.last_lines == ["ready"])
    pid = process.pid
    assert pid is not None
    stopping = asyncio.create_task(process.stop(60))
    await asyncio.sleep(0.1)
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
    await until(lambda: not alive(pid))


async def test_stopping_right_after_the_start_leaves_no_process(start: StartProcess) -> None:
    for pause_s in (0, 0.001, 0.01, 0.05):
        process = start("import time; time.sleep(60)")
        await asyncio.sleep(pause_s)
        pid = process.pid
        await process.stop(2)
        assert process.pid is None
        assert pid is None or not alive(pid)


async def test_what_a_process_started_ends_with_it(start: StartProcess) -> None:
    script = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True); time.sleep(60)
"""
    process = start(script)
    await until(lambda: len(process.output.last_lines) == 1)
    grandchild = int(process.output.last_lines[0])
    assert alive(grandchild)
    await process.stop(2)
    await until(lambda: not alive(grandchild))


async def test_a_line_without_end_is_logged_in_pieces_and_loses_nothing(start: StartProcess, tmp_path: Path) -> None:
    process = start(
        "import sys, time; sys.stdout.write('x' * 300_000 + '\\nend\\n'); sys.stdout.flush(); time.sleep(60)"
    )
    await until(lambda: process.output.last_lines[-1:] == ["end"])
    assert (tmp_path / "part.log").read_text().count("x") == 300_000


async def test_no_process_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a child that its parent has died")
    parent_script = f"""
import asyncio, sys
from pathlib import Path
from local.output import PartOutput
from local.processes import Part, SupervisedProcess
async def main():
    part = Part(name="part", command=(sys.executable, "-c", "import time; time.sleep(60)"), environment={{}})
    process = SupervisedProcess(part, PartOutput("part", Path({str(tmp_path / "part.log")!r})), directory=Path("/"))
    process.start()
    while process.pid is None:
        await asyncio.sleep(0.01)
    print(process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent_script, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = int(await asyncio.wait_for(parent.stdout.readline(), 10))
    assert alive(child)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(child))
