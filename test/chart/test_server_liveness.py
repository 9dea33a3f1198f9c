"""The script by which the kubelet learns from the queue agent whether the model server is alive."""

import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


@pytest.fixture
def probe(releases):
    """Run the probe's command against another address; gives its exit status and what it says."""
    _, flag, script, _, _ = releases["static"].model_server["livenessProbe"]["exec"]["command"]

    def run(address, seconds=20.0):
        command = [sys.executable, flag, script, address, str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def agent():
    """Make an agent that answers with a status."""
    servers = []

    def start(status):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status if self.path == "/livez/model" else 404)
                self.end_headers()
                self.wfile.write(b"no progress for 240 s")

            def log_message(self, *_):
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"127.0.0.1:{servers[-1].server_port}"

    yield start
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.fixture
def port():
    """A port of this machine that nobody accepts connections on, and the socket that holds it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held


@pytest.mark.parametrize(("status", "exits"), [(200, 0), (503, 1), (500, 1)])
def test_the_server_is_as_alive_as_the_agent_says(probe, agent, status, exits):
    assert probe(agent(status))[0] == exits


def test_the_agents_reason_is_said(probe, agent):
    assert "no progress for 240 s" in probe(agent(503))[1]


def test_a_server_outlives_its_agents_crash_loop(probe, port):
    assert probe(f"127.0.0.1:{port.getsockname()[1]}")[0] == 0


def test_an_agent_that_hangs_is_restarted_by_its_own_probe_and_not_the_server(probe, port):
    port.listen()
    assert probe(f"127.0.0.1:{port.getsockname()[1]}", seconds=0.1)[0] == 0


def test_an_agent_that_dies_while_it_answers_says_nothing_of_the_server(probe, port):
    port.listen()

    def die():
        port.accept()[0].close()

    threading.Thread(target=die, daemon=True).start()
    assert probe(f"127.0.0.1:{port.getsockname()[1]}")[0] == 0


def test_the_probe_asks_where_the_agent_answers_and_ends_before_the_kubelet_gives_up(releases):
    for name in ("static", "comfyui", "flux", "anywhere"):
        probe = releases[name].model_server["livenessProbe"]
        address, seconds = probe["exec"]["command"][-2:]
        assert address == f"127.0.0.1:{releases[name].agent['ports'][0]['containerPort']}"
        assert float(seconds) < probe["timeoutSeconds"]
