"""What an installation says while it goes on."""

import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from local.install import Progress, locked_names

ROOT = Path(__file__).resolve().parents[3]
PIP = """
import os, pathlib, sys, sysconfig, time
print("Ignoring colorama: markers 'sys_platform == \\"win32\\"' don't match your environment")
for name in ("one", "Two_x", "three"):
    print(f"Collecting {name}==1 (from -r lock.txt (line 1))")
try:
    print("Installing collected packages: one, Two_x, three")
    packages = pathlib.Path(sysconfig.get_path("purelib"))
    for name in ("one", "Two_x", "three"):
        (packages / f"{name}-1.dist-info").mkdir()
    if os.environ["ENDS_WITH"] == "130":
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit("ERROR: Operation cancelled by user")
print("ERROR: a hash does not match", file=sys.stderr)
sys.exit(int(os.environ["ENDS_WITH"]))
"""


def said(terminal: bool, *calls: tuple[str, int, int]) -> str:
    written: list[str] = []
    progress = Progress(terminal, written.append)
    for call in calls:
        progress(*call)
    progress.end()
    return "".join(written)


def test_a_log_gets_a_line_for_every_tenth_part() -> None:
    lines = said(False, *(("fetched", done, 80) for done in range(81))).splitlines()
    assert len(lines) == 10
    assert lines[-1] == "  fetched 80 of 80 packages"


def test_a_terminal_gets_one_line_that_changes() -> None:
    text = said(True, ("fetched", 1, 3), ("fetched", 1, 3), ("fetched", 3, 3), ("installed", 3, 3))
    assert text.count("\r") == 3
    assert text.count("\n") == 1


def test_the_names_of_a_lock_are_found_however_they_are_written() -> None:
    lock = (
        "aio.Http==1 \\\n    --hash=sha256:ab\nTwo_x==2 ; python_version < '3' \\\n    --hash=sha256:cd\n# three==3\n"
    )
    assert locked_names(lock) == {"aio-http", "two-x"}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Installs by a pip that only says what pip says."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    packages = next((tmp_path / "venv").glob("lib/python*/site-packages"))
    (packages / "pip").mkdir()
    (packages / "pip" / "__main__.py").write_text(PIP)
    lock = tmp_path / "lock.txt"
    lock.write_text("one==1\nTwo_x==1\nthree==1\ncolorama==1 ; sys_platform == 'win32'\n")
    return [str(python), "-m", "local.install", str(lock)]


@pytest.mark.parametrize("code", [0, 1])
def test_what_pip_does_is_counted_and_its_end_is_ours(command: list[str], code: int) -> None:
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"ENDS_WITH": str(code)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == code
    assert "  fetched 3 of 3 packages\n" in ended.stdout
    assert "  installed 3 of 3 packages\n" in ended.stdout
    assert "a hash does not match" in ended.stderr


def test_ctrl_c_ends_it_with_pips_own_words(command: list[str]) -> None:
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"ENDS_WITH": "130", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as installing:
        assert installing.stdout is not None
        assert any("installed" in line for line in iter(installing.stdout.readline, ""))
        os.killpg(installing.pid, signal.SIGINT)
        _, words = installing.communicate(timeout=60)
    assert installing.returncode == 130
    assert words == "ERROR: Operation cancelled by user\n"


def test_it_needs_nothing_but_the_standard_library() -> None:
    code = "import sys; import local.install; print(sorted(name for name in sys.modules if '.' not in name))"
    ended = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
