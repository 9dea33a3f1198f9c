import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from test.kit.notices import NoticeQueue
from test.kit.processes import ROOT, wait_for


def run_local(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("parts_so_far", "number", "status"),
    [
        (None, signal.SIGINT, 0),
        (None, signal.SIGKILL, -signal.SIGKILL),
        (1, signal.SIGTERM, None),
        (4, signal.SIGTERM, None),
    ],
)
def test_no_part_outlives_the_platform_however_it_ends(
    start_up: Callable[..., Any],
    small_config: Path,
    parts_so_far: int | None,
    number: signal.Signals,
    status: int | None,
) -> None:
    """It ends when it is ready, or while starting, after a number of parts."""
    up = start_up(f"--config={small_config}")
    if parts_so_far is None:
        up.wait_ready()
        assert (up.state / "stack.json").stat().st_mode & 0o777 == 0o600
    parts = up.until(lambda: parts if len(parts := up.part_pids()) >= (parts_so_far or 4) else None)
    assert up.end(number) == status or status is None
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in parts.values()), "all parts to end")
    assert "Traceback" not in up.output
    assert (up.state / "stack.json").exists() == (number == signal.SIGKILL)


@pytest.mark.parametrize("shell", ["lambda", "asgi"])
def test_the_curl_line_works_and_the_output_shows_a_link_to_its_picture(
    start_up: Callable[..., Any], small_config: Path, shell: str
) -> None:
    up = start_up(f"--config={small_config}", f"--shell={shell}")
    up.wait_ready()
    up.post({"task": {"metadata": {"id": "x", "runtime": "elsewhere", "tasktype": "text-to-image"}, "content": {}}})
    line = next(line.strip() for line in up.output.splitlines() if line.startswith("  curl -sS"))
    assert "/prod/v1/jobs" in line
    answer = json.loads(subprocess.run(["bash", "-c", line], capture_output=True, timeout=60, check=True).stdout)
    assert answer["task_id"] == "first-picture"
    shown = up.until(lambda: re.search(r"^notices +\| first-picture: \d+\.\d s, (\S+)$", up.output, re.MULTILINE))
    for link in (answer["images"][0]["url"], shown.group(1)):
        picture = subprocess.run(["curl", "-sSfL", link], capture_output=True, timeout=30, check=True)
        assert picture.stdout.startswith(b"\x89PNG")
    streamed = up.output.partition("test/run.sh\n")[2].splitlines()
    lines = [line.partition("| ")[2] for line in streamed if " | " in line]
    assert not any(line.startswith(("INFO", "{", "ERROR", "Traceback")) for line in lines)
    assert any(" 400 " in line and "task.metadata.runtime" in line for line in lines)


def test_throttle_and_stage_come_from_the_configuration_and_the_key_from_a_file(
    start_up: Callable[..., Any], small_config: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("a-key-of-my-own\n")
    up = start_up(f"--config={small_config}", f"--key-file={tmp_path / 'key'}", "--host=0.0.0.0")
    up.wait_ready()
    (api,) = {urlsplit(up.stack["FrontApiEndpoint"]).port}
    assert open_ports(up) == {api}, "nothing but the API is reachable from elsewhere"
    assert (up.target.api_key, up.target.endpoint[-5:]) == ("a-key-of-my-own", "/prod")
    assert "from elsewhere: http://" in up.output
    assert [up.post({}).status_code for _ in range(5)] == [400, 400, 400, 429, 429]


def test_if_aws_dies_it_comes_back_with_every_queue(start_up: Callable[..., Any], small_config: Path) -> None:
    up = start_up(f"--config={small_config}")
    up.wait_ready()
    pid = up.part_pids()["local.aws_server"]
    os.kill(pid, signal.SIGKILL)
    up.until(lambda: up.part_pids().get("local.aws_server", pid) != pid and listens(up.stack["AwsEndpoint"]))
    with NoticeQueue(up.target) as notices:
        _, notice = up.draw(notices, runtime="only")
    assert notice.result is True
    assert "[killed by SIGKILL with all tasks and pictures; starts again in 0.5 s]" in up.output


def test_many_requests_at_once_cause_no_warning(start_up: Callable[..., Any]) -> None:
    up = start_up()
    up.wait_ready()
    bodies = [up.text_to_image(runtime="sdruntime") for _ in range(20)]
    with NoticeQueue(up.target) as notices:
        with ThreadPoolExecutor(len(bodies)) as pool:
            assert {answer.status_code for answer in pool.map(up.post, bodies)} == {200}
        up.wait_for_notice(notices, bodies[-1]["task"]["metadata"]["id"])
    assert "WARNING" not in up.output


def open_ports(up: Any) -> set[int]:
    """Ports on which a platform's processes listen, but not on loopback alone."""
    inodes = set()
    for pid in (up.process.pid, *up.part_pids().values()):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                inodes.add(str(file.readlink()))
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    listening = [row for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    loopback = ("0100007F", "0" * 24 + "01000000")
    return {int(row[1].rpartition(":")[2], 16) for row in listening if not row[1].startswith(loopback)}


def listens(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


@pytest.mark.parametrize(("option", "purpose"), [("--port", "The API"), ("--aws-port", "AWS")])
def test_a_busy_port_is_one_clear_line_and_exit_code_1(tmp_path: Path, option: str, purpose: str) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        ended = run_local("up", "--port=0", "--aws-port=0", f"--state={tmp_path}", f"{option}={port}")
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert f"{purpose} cannot listen on port {port} " in ended.stderr
    assert "make up PORT=0 ARGS=--aws-port=0" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config=/nowhere/config.yaml",), "/nowhere/config.yaml: No such file or directory"),
        (("--config=faulty.yaml",), "faulty.yaml has 3 errors:\n  line 1: stackName "),
        (("--runtime-url=elsewhere=http://127.0.0.1:1",), "there is no runtime elsewhere; there are sdruntime"),
        (("--runtime-url=http://gpu:7860",), "write NAME=URL, as in sdruntime=http://HOST:PORT"),
        (("--runtime-url=sdruntime=gpu:7860",), "'gpu:7860' is no URL; write NAME=URL"),
        (("--runtime-url=sdruntime=http://gpu:99999",), "'http://gpu:99999' is no URL"),
        (("--host=no.such.host.invalid",), "The API cannot listen on port 0 of no.such.host.invalid: "),
        (("--key-file=/",), "/: Is a directory"),
        (("--port=99999",), "'99999' is no port; give 1 to 65535"),
    ],
)
def test_a_wrong_command_line_or_configuration_is_explained(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    faulty = tmp_path / "faulty.yaml"
    faulty.write_text("stackName: 1x\nmodelBucketArn: arn:aws:s3:::models\nmodelsRuntime:\n  - {name: A}\n")
    arguments = tuple(one.replace("=faulty", f"={tmp_path}/faulty") for one in arguments)
    ended = run_local("up", "--port=0", "--aws-port=0", f"--state={tmp_path}", *arguments)
    assert ended.returncode in (1, 2)
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_platform_on_the_same_state_is_refused(platform: Any) -> None:
    ended = run_local("up", "--port=0", "--aws-port=0", f"--state={platform.state}")
    assert ended.returncode == 1
    pid = platform.stack["Pid"]
    assert f"A platform already runs at {platform.stack['FrontApiEndpoint']} (process {pid}" in ended.stderr
    assert f"kill {pid}" in ended.stderr
    assert "beside it: make up PORT=0 ARGS='--aws-port=0 --state=.local/2'" in ended.stderr
    assert (platform.state / "stack.json").exists()


def test_ctrl_c_during_loading_ends_it_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "local", "up", "--port=x", f"--state={tmp_path}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as up:
        assert up.stderr is not None
        assert any(" pydantic" in line for line in up.stderr)
        up.send_signal(signal.SIGINT)
        rest = up.stderr.read()
    assert up.returncode in (-signal.SIGINT, 2), "2 where it was quicker, and has found its fault"
    assert "Traceback" not in rest


def test_the_message_for_a_server_without_its_api_names_the_option_that_it_needs(
    start_up: Callable[..., Any], small_config: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-u", "-m", "http.server", "--bind=127.0.0.1", f"--directory={tmp_path}", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        url = re.findall(r"\((http://.*)/\)", server.stdout.readline())[0]
        up = start_up(f"--config={small_config}", f"--runtime-url=only={url}")
        up.wait_ready()
        server.terminate()
    assert f"only uses {url}, which answers 404 to /sdapi/v1/memory; SD WebUI needs --api" in up.output
