"""The script by which a static runtime's pod waits for its checkpoint, against the stand-in and a server that lies."""

import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CHECKPOINT = "v1-5-pruned-emaonly.safetensors"


class SdWebUI(ThreadingHTTPServer):
    """Says at once which checkpoint it shall load, and has loaded it later."""

    def __init__(self, *, title, loaded_after_s=0.0, status=200):
        self.title = title
        self.status = status
        self.loaded_at = time.monotonic() + loaded_after_s
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self._answer(200, f'{{"sd_model_checkpoint": "{self.server.title}"}}')

    def do_POST(self):
        time.sleep(max(self.server.loaded_at - time.monotonic(), 0))
        self._answer(self.server.status, "{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def probe(releases):
    """Run the probe's command with another address and less time; gives its exit status, words and seconds."""
    _, flag, script, _, filename, _ = releases["static"].model_server["startupProbe"]["exec"]["command"]

    def run(address, seconds=1.0):
        begin = time.monotonic()
        command = [sys.executable, flag, script, address, filename, str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        return done.returncode, done.stderr, time.monotonic() - begin

    return run


@pytest.fixture
def server():
    """Make a server; all end with the test."""
    servers = []

    def start(**given):
        servers.append(SdWebUI(**given))
        return servers[-1]

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.mark.parametrize("title", [CHECKPOINT, f"{CHECKPOINT} [6ce0161689]", f"sub/{CHECKPOINT} [6ce0161689]"])
def test_it_passes_when_the_checkpoint_is_loaded(probe, server, title):
    assert probe(server(title=title).address)[0] == 0


def test_it_waits_until_the_checkpoint_is_loaded_whatever_the_option_says_before(probe, server):
    status, _, seconds = probe(server(title=CHECKPOINT, loaded_after_s=1).address, seconds=10)
    assert status == 0
    assert seconds > 1


def test_it_fails_while_another_checkpoint_is_loaded_and_names_it(probe, server):
    status, said, _ = probe(server(title="other.safetensors").address)
    assert status != 0
    assert "there is other.safetensors" in said


def test_it_fails_when_no_checkpoint_could_be_loaded(probe, server):
    assert probe(server(title=CHECKPOINT, status=500).address)[0] != 0


def test_it_fails_while_nothing_listens(probe):
    assert probe("127.0.0.1:9")[0] != 0


def test_it_ends_in_its_time_though_the_server_never_answers(probe, server):
    silent = server(title=CHECKPOINT, loaded_after_s=60)
    assert probe(silent.address, seconds=1)[0] != 0
    assert time.monotonic() < silent.loaded_at


def test_it_ends_before_the_kubelet_ends_it(releases):
    startup = releases["static"].model_server["startupProbe"]
    assert float(startup["exec"]["command"][-1]) + 2 < startup["timeoutSeconds"]


def test_the_stand_in_passes_it(probe):
    command = [sys.executable, "-m", "runtimes.standin", "--type", "sdwebui", "--port", "0", "--model", CHECKPOINT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as standin:
        try:
            address = standin.stdout.readline().rpartition("//")[2].strip()
            assert probe(address, seconds=5)[0] == 0
        finally:
            standin.kill()
