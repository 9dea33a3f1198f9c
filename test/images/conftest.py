"""Programs that are not there: fakes on the PATH that record how they are called."""

import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from moto.moto_api._internal import moto_api_backend
from moto.server import ThreadedMotoServer

_RECORDER = """\
#!{python} -IS
import json, os, sys
from pathlib import Path
HOME = Path({home!r})
ARGUMENTS = sys.argv[1:]
CALL = {{"program": Path(sys.argv[0]).name, "arguments": ARGUMENTS, "stdin": sys.stdin.read()}}
with (HOME / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps(CALL) + "\\n")
{body}
"""


@dataclass
class FakePrograms:
    """A folder for the PATH with programs that record their calls and then run a few lines of Python."""

    home: Path

    @property
    def bin(self):
        return self.home / "bin"

    def add(self, name, body="pass"):
        self.bin.mkdir(parents=True, exist_ok=True)
        file = self.bin / name
        file.write_text(_RECORDER.format(python=sys.executable, home=str(self.home), body=body))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    @property
    def calls(self):
        record = self.home / "calls.jsonl"
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []

    def environ(self, **more):
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "JSII_NODE") if name in os.environ}
        return {**kept, "PATH": f"{self.bin}:/usr/bin:/bin", **more}


@pytest.fixture
def programs(tmp_path):
    return FakePrograms(tmp_path)


@pytest.fixture(scope="session")
def moto_server():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def aws(moto_server, monkeypatch):
    """An empty account, where boto3 finds it; gives its environment for programs that are started."""
    moto_api_backend.reset()
    environ = {
        "AWS_ENDPOINT_URL": moto_server,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_CONFIG_FILE": os.devnull,
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    return environ
