"""A model server with its agent, and the kubelet that restarts them."""

import contextlib
import signal
import socket
import threading
import time

from test.kit.actions import name_aws_call, name_call
from test.kit.processes import ChildProcess, answers, free_port, wait_for
from test.kit.proxy import FaultProxy
from test.kit.servers import FluxServer, InvokeStandIn, StandIn


class Pod:
    """A model server and its agent, which reaches AWS through a proxy.

    Args:
        rig: The runtime that it serves.
        name: Its name.
        step_s: Duration of a step in the server.
        proxied_server: Whether a proxy, ``server_proxy``, stands in front of the server.
        round_trip_s: Network time of calls to AWS in seconds, by pattern.
        server_environment: Additional environment of the server.
        server_arguments: Its additional arguments.
        agent: Options of the agent's process; its log, if separate from the server's. See ``ChildProcess``.
        environment: Additional environment of the agent.
    """

    def __init__(
        self,
        rig,
        name,
        *,
        step_s=0,
        proxied_server=False,
        round_trip_s=None,
        server_environment=None,
        server_arguments=(),
        agent=None,
        **environment,
    ):
        self.rig = rig
        self.name = name
        self.aws = FaultProxy(rig.kit.network, rig.aws.url, name_aws_call, round_trip_s)
        self._log = rig.kit.folder / f"{name}.log"
        self._kubelet = None
        self._health_port = free_port()
        self.health_url = f"http://127.0.0.1:{self._health_port}"
        self.server_url = f"http://127.0.0.1:{free_port()}"
        self.server_proxy = FaultProxy(rig.kit.network, self.server_url, name_call) if proxied_server else None
        make = {"flux": FluxServer, "invokeai": InvokeStandIn}.get(rig.type, StandIn)
        self.model = make(rig, self.server_url, step_s)
        places = {
            **rig.agent_environment(self.aws.url),
            "JOBS_TABLE": rig.store.table,
            "API_BASE_URL": self.server_proxy.url if self.server_proxy else self.server_url,
            "DYNAMIC_SD_MODEL": "true",
            "ALLOW_LOOPBACK_INPUTS": "true",
            "HEALTH_PORT": str(self._health_port),
        }
        servers = {**self.model.environment, **(server_environment or {})}
        log, agent = {"log": self._log, "endpoint": self.aws.url}, {**(agent or {}), **places, **environment}
        self.server = ChildProcess(*self.model.command, *server_arguments, **log, **servers)
        self.agent = ChildProcess("queue_agent", **{**log, **agent})

    def start(self):
        """Start the model server, then the agent."""
        self.start_server()
        self.agent.start()
        return self

    def start_server(self):
        with self.rig.kit.starting:
            self.server.start()
            self.wait_for_server()

    def wait_for_server(self):
        url = f"{self.server_url}{self.model.ready_path}"
        wait_for(lambda: answers(url), lambda: f"the model server; log:\n{self.log}")

    def keep_alive(self):
        """Restart agent and server when they end, and a server that the agent reports as dead, as a kubelet does."""
        self._kubelet = Kubelet(self.agent, self.server, self._health_port)

    @property
    def generations(self):
        """All jobs that the model server has started since its own start."""
        return self.model.generations

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def kill(self):
        """Kill all its processes."""
        if self._kubelet is not None:
            self._kubelet.close()
        self.agent.kill()
        self.server.kill()
        self.aws.close()
        if self.server_proxy is not None:
            self.server_proxy.close()


class Kubelet(threading.Thread):
    """Restarts processes that have ended, and kills a model server after three failed liveness probes."""

    def __init__(self, agent, server, health_port):
        super().__init__(name="kubelet", daemon=True)
        self._agent = agent
        self._server = server
        self._address = ("127.0.0.1", health_port)
        self._over = threading.Event()
        self.start()

    def run(self):
        failures, probed_s = 0, time.monotonic()
        while not self._over.wait(0.05):
            for child in (self._agent, self._server):
                if not child.is_alive:
                    child.wait(1)
                    child.start()
            if time.monotonic() - probed_s >= 1:
                probed_s = time.monotonic()
                failures = failures + 1 if self._says_dead() else 0
            if failures == 3:
                failures = 0
                self._server.send(signal.SIGKILL)

    def _says_dead(self):
        with contextlib.suppress(OSError), socket.create_connection(self._address, 1) as line:
            line.settimeout(1)
            line.sendall(b"GET /livez/model HTTP/1.0\r\n\r\n")
            return b" 503 " in line.recv(100)
        return False

    def close(self):
        self._over.set()
        self.join(10)
