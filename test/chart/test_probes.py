"""The scripts by which the kubelet learns whether the checkpoint is loaded, and whether the model server is alive."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

CHECKPOINT = "v1-5-pruned-emaonly.safetensors"


@contextlib.contextmanager
def server(get, post=lambda: (404, "")):
    """A server; ``get`` gives status and body by path, ``post`` by none. Gives its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._send(*get(self.path))

        def do_POST(self):
            self._send(*post())

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


def sdwebui(title, post=lambda: (200, "{}")):
    """SD WebUI: it names the checkpoint at once, and answers to POST once it has loaded it."""
    return server(lambda _: (200, f'{{"sd_model_checkpoint": "{title}"}}'), post)


def run(*command):
    """Exit status and what is said."""
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def startup(static):
    """Run the startup probe's command with another address and less time."""
    _, flag, script, _, filename, _ = static.model_server["startupProbe"]["exec"]["command"]
    return lambda address, seconds=10.0: run(flag, script, address, filename, str(seconds))


@pytest.fixture
def liveness(static):
    """Run the liveness probe's command with another address."""
    _, flag, script, _, _ = static.model_server["livenessProbe"]["exec"]["command"]
    return lambda address, seconds=20.0: run(flag, script, address, str(seconds))


@pytest.mark.parametrize(
    ("title", "status", "said"),
    [
        (CHECKPOINT, 200, None),
        (f"sub/{CHECKPOINT} [6ce0161689]", 200, None),
        ("other.safetensors", 200, "there is other.safetensors"),
        (CHECKPOINT, 500, "500"),
    ],
)
def test_the_server_has_started_when_the_checkpoint_and_no_other_is_loaded(startup, title, status, said):
    with sdwebui(title, lambda: (status, "{}")) as address:
        ended, found = startup(address, seconds=1 if said else 60)
    assert (ended != 0) is bool(said)
    assert (said or "") in found


def test_the_probe_waits_until_the_checkpoint_is_loaded_whatever_the_option_says_before(startup):
    loaded = threading.Event()

    def load():
        time.sleep(0.5)
        loaded.set()
        return 200, "{}"

    with sdwebui(CHECKPOINT, load) as address:
        assert startup(address, seconds=60)[0] == 0
        assert loaded.is_set()


def test_it_ends_by_itself_though_the_server_never_answers_and_where_nothing_listens(startup):
    never = threading.Event()
    with sdwebui(CHECKPOINT, lambda: (never.wait(60), (200, "{}"))[1]) as address:
        assert startup(address, seconds=1)[0] != 0
        never.set()
    assert startup("127.0.0.1:9", seconds=1)[0] != 0


@pytest.mark.parametrize(("status", "exits"), [(200, 0), (503, 1), (500, 1)])
def test_the_server_is_as_alive_as_the_agent_says_with_its_reason(liveness, status, exits):
    with server(lambda path: (status if path == "/livez/model" else 404, "no progress for 240 s")) as address:
        ended, said = liveness(address)
    assert ended == exits
    assert ("no progress for 240 s" in said) is bool(exits)


def test_an_agent_that_cannot_be_asked_says_nothing_of_the_server(liveness):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        assert liveness(address)[0] == 0, "the agent is in a crash loop"
        held.listen()
        assert liveness(address, seconds=0.1)[0] == 0, "the agent hangs, and is restarted by its own probe"
        held.accept()[0].close()

        def die():
            held.accept()[0].close()

        threading.Thread(target=die, daemon=True).start()
        assert liveness(address)[0] == 0, "the agent dies while it answers"


@pytest.mark.parametrize("name", ["static", "comfyui", "flux", "anywhere"])
def test_probes_ask_where_the_agent_answers_and_end_before_the_kubelet_gives_up(releases, name):
    server = releases[name].model_server
    address, seconds = server["livenessProbe"]["exec"]["command"][-2:]
    assert address == f"127.0.0.1:{releases[name].agent['ports'][0]['containerPort']}"
    assert float(seconds) < server["livenessProbe"]["timeoutSeconds"]
    if "exec" in server["startupProbe"]:
        assert float(server["startupProbe"]["exec"]["command"][-1]) + 2 < server["startupProbe"]["timeoutSeconds"]
