import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from local import platform, processes
from local.platform import Platform
from local.processes import GivenUpError, Part, PartFailedError, Probe, SupervisedProcess

SLEEPS = "import time; time.sleep(60)"
IGNORES_SIGTERM = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(60)"
HAS_A_CHILD_AND_CLEANS_UP = """
import signal, subprocess, sys, time
def end(*_):
    print("cleaning up"); time.sleep(0.2); print("done"); sys.exit(0)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], stdout=subprocess.DEVNULL)
signal.signal(signal.SIGTERM, end)
print(child.pid); time.sleep(60)
"""

StartProcess = Callable[..., SupervisedProcess]


@pytest.fixture
async def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartProcess]:
    monkeypatch.setattr(processes, "_RESTART_S", 0.01)
    started: list[SupervisedProcess] = []

    def start_process(
        script: str, *, probe: Probe | None = None, ready_s: float = 60, log: Path = tmp_path / "part.log"
    ) -> SupervisedProcess:
        part = Part(
            name="part",
            command=(sys.executable, "-c", script),
            environment={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
            probe=probe,
            ready_s=ready_s,
        )
        started.append(SupervisedProcess(part, log))
        return started[-1]

    yield start_process
    for process in started:
        await process.stop(0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def pid_of(process: SupervisedProcess) -> int:
    """A process's id, once it has printed something."""
    await until(lambda: bool(process.last_lines))
    assert process.pid is not None
    return process.pid


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended but is not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_one_that_ends_over_and_over_pauses_longer_each_time_and_is_reported_with_its_log(
    start: StartProcess, tmp_path: Path
) -> None:
    process = start("print('no such file'); raise SystemExit(3)")
    failure = str(await process.failed())
    assert failure.startswith("part ended")
    assert f"Its log is {tmp_path / 'part.log'}; it ends with:\n" in failure
    assert "\n  no such file" in failure
    await until(lambda: len(process.last_lines) == 8)
    pauses = [float(line.split()[-2]) for line in process.last_lines if line.startswith("[")]
    assert pauses == [0.01, 0.02, 0.04, 0.08]


async def test_waiting_for_a_process_ends_when_time_is_up_or_the_process_gives_up(
    start: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "_REPEAT_EVERY_S", 0.05)
    said: list[str] = []

    async def never() -> bool:
        if said:
            raise GivenUpError
        return False

    with pytest.raises(PartFailedError, match=r"part was not ready within 0\.2 seconds"):
        await start(SLEEPS, probe=never, ready_s=0.2).wait_ready()
    server = start(f"print('INFO reading weights'); {SLEEPS}", probe=never)
    await pid_of(server)
    with pytest.raises(PartFailedError, match="part has given up"):
        await Platform(None, None, None, said.append).ready(server)  # type: ignore[arg-type]
    assert said[0] == "part is not ready yet: INFO reading weights"


async def test_stopping_lets_a_process_finish_within_its_grace_and_ends_what_it_has_started(
    start: StartProcess,
) -> None:
    process = start(HAS_A_CHILD_AND_CLEANS_UP)
    await pid_of(process)
    child = int(process.last_lines[0])
    assert alive(child)
    await process.stop(60)
    assert list(process.last_lines)[1:] == ["cleaning up", "done"]
    await until(lambda: not alive(child))


@pytest.mark.parametrize("cancelled", [False, True])
async def test_stopping_kills_a_process_that_ignores_sigterm(start: StartProcess, cancelled: bool) -> None:
    process = start(IGNORES_SIGTERM)
    pid = await pid_of(process)
    stopping = asyncio.create_task(process.stop(600 if cancelled else 0.3))
    await asyncio.sleep(0.1)
    assert alive(pid)
    if cancelled:
        stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await stopping
    await until(lambda: not alive(pid))


@pytest.mark.parametrize("pause_s", [0, 0.001, 0.01])
async def test_stopping_right_after_the_start_leaves_no_process(start: StartProcess, pause_s: float) -> None:
    process = start(SLEEPS)
    await asyncio.sleep(pause_s)
    await process.stop(60)
    assert process.pid is None


async def test_a_log_does_not_grow_without_end(
    start: StartProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "MAX_LOG_BYTES", 1000)
    process = start("import time\nfor number in range(500): print(number, 100 % 7, '%s')\ntime.sleep(60)")
    await until(lambda: list(process.last_lines)[-1:] == ["499 2 %s"])
    logs = [(tmp_path / name).read_text() for name in ("part.log.1", "part.log")]
    assert "".join(logs).endswith("498 2 %s\n499 2 %s\n")
    assert sum(map(len, logs)) <= 2000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
async def test_a_full_disk_costs_lines_of_the_log_but_not_the_part(start: StartProcess) -> None:
    process = start("import time\nfor number in range(9): print(number)\ntime.sleep(60)", log=Path("/dev/full"))
    await until(lambda: list(process.last_lines)[-1:] == ["8"])
    assert process.pid is not None


async def test_a_line_without_end_is_logged_in_pieces_and_loses_nothing(start: StartProcess, tmp_path: Path) -> None:
    process = start(f"import sys; sys.stdout.write('x' * 300_000 + '\\nend\\n'); {SLEEPS}")
    await until(lambda: list(process.last_lines)[-1:] == ["end"])
    assert (tmp_path / "part.log").read_text().count("x") == 300_000
