import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.ports import free_port
from runtimes.catalog import DeployedRuntime, RuntimeCatalog

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def aws_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The AWS process itself, deployed for one runtime: in a process of its own, because moto's state is global."""
    runtimes = tmp_path_factory.mktemp("aws") / "runtimes.json"
    runtimes.write_text(RuntimeCatalog([DeployedRuntime(name="only", type="comfyui")]).to_json())
    port = free_port()
    command = [sys.executable, "-m", "local.aws_server", f"--port={port}", f"--runtimes={runtimes}"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            deadline = time.monotonic() + 20
            while not _listens(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
