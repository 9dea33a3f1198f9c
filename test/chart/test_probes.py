"""The script by which the kubelet learns whether the model server must be restarted."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@contextlib.contextmanager
def server(get):
    """A server; ``get`` gives status and body by path. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._send(*get(self.path))

        def _send(self, status, body):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listening.server_port}"
        listening.shutdown()


def run(*command):
    """Exit status and what is said."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def liveness(static):
    """Run the liveness probe's command for another agent and another server, which is old once ``startup_s`` is 0."""
    _, flag, script, *_ = static.model_server["livenessProbe"]["exec"]["command"]

    def probe(agent, port, *, startup_s=3600, seconds=20.0):
        return run(flag, script, agent, str(port), str(seconds), str(startup_s), str(os.getpid()))

    return probe


@pytest.fixture
def listening():
    """Port of a server that has started."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def closed():
    """Port on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def agent(*, ready=200, alive=200):
    """An agent that has been ready or not, and finds the server alive or not."""
    statuses = {"/readyz": ready, "/livez/model": alive}
    return server(lambda path: (statuses[path], f"{path} says no" if statuses[path] != 200 else ""))


@pytest.mark.parametrize(
    ("says", "startup_s", "complaint"),
    [
        ({}, 3600, None),
        ({}, 0, None),
        ({"ready": 503}, 3600, None),
        ({"ready": 503}, 0, "not ready after 0 s: /readyz says no"),
        ({"alive": 503}, 3600, "/livez/model says no"),
        ({"ready": 503, "alive": 503}, 3600, "/livez/model says no"),
    ],
)
def test_a_server_that_listens_is_as_alive_as_the_agent_says_and_must_be_ready_in_time(
    liveness, listening, says, startup_s, complaint
):
    with agent(**says) as address:
        ended, said = liveness(address, listening, startup_s=startup_s)
    assert ended == (1 if complaint else 0)
    assert (complaint or "") in said


@pytest.mark.parametrize("alive", [200, 503])
def test_a_server_that_does_not_listen_yet_has_its_time_whatever_the_agent_says(liveness, closed, alive):
    with agent(alive=alive) as address:
        assert liveness(address, closed)[0] == 0
        ended, said = liveness(address, closed, startup_s=0)
    assert ended == 1
    assert f"Nothing listens on port {closed} after 0 s." in said


def test_an_agent_that_cannot_be_asked_says_nothing_of_the_server(liveness, listening):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        assert liveness(address, listening, startup_s=0)[0] == 0, "the agent is in a crash loop"
        held.listen()
        assert liveness(address, listening, seconds=0.1)[0] == 0, "the agent hangs, and is restarted by its own probe"
        held.accept()[0].close()

        def die():
            held.accept()[0].close()

        threading.Thread(target=die, daemon=True).start()
        assert liveness(address, listening)[0] == 0, "the agent dies while it answers"


@pytest.mark.parametrize("name", ["static", "comfyui", "flux", "anywhere"])
def test_the_probe_asks_where_the_agent_answers_and_ends_before_the_kubelet_gives_up(releases, name):
    server = releases[name].model_server
    address, port, seconds, startup_s, process = server["livenessProbe"]["exec"]["command"][-5:]
    assert address == f"127.0.0.1:{releases[name].agent['ports'][0]['containerPort']}"
    assert (int(port), process) == (server["ports"][0]["containerPort"], "1")
    assert float(startup_s) == 900
    assert 2 * float(seconds) < server["livenessProbe"]["timeoutSeconds"]


@pytest.mark.parametrize("name", ["static", "dynamic", "comfyui", "flux"])
def test_nothing_holds_the_agent_back_until_the_server_has_started(releases, name):
    server = releases[name].model_server
    assert server["restartPolicy"] == "Always"
    assert not {"startupProbe", "readinessProbe", "lifecycle"} & server.keys()
