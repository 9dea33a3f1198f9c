"""A model server with its agent, and the kubelet that keeps both alive."""

import contextlib
import signal
import socket
import threading
import time

from faultkit.aws import name_call
from faultkit.processes import Child, answers, free_port, wait_for
from faultkit.proxy import FaultProxy
from faultkit.servers import FluxServer, StandIn

from local.sandbox import ACCOUNT


class Pod:
    """A model server and its agent, which reaches AWS, and the server if wanted, through proxies.

    Args:
        runtime: What it serves.
        name: Its own.
        step_s: How long a step takes in the server.
        server_proxy: Makes a proxy before the server.
        round_trip_s: Seconds that each call to AWS takes on its way, by pattern.
        wrapper: Command that the agent is run by.
        agent_log: Where the agent writes; together with the server by default.
        environment: The agent's, besides the usual.
    """

    def __init__(
        self,
        runtime,
        name,
        *,
        step_s=0,
        server_proxy=None,
        round_trip_s=None,
        wrapper=(),
        agent_log=None,
        **environment,
    ):
        self.name = name
        self.aws = FaultProxy(runtime.network, runtime.aws.url, name_call, round_trip_s)
        self._log = runtime.folder / f"{name}.log"
        self._watch = None
        self._health_port = free_port()
        port = free_port()
        self.server_url = f"http://127.0.0.1:{port}"
        if runtime.type == "flux":
            self.model = FluxServer(runtime.folder / f"{name}-faults.json", self.server_url, step_s)
        else:
            self.model = StandIn(self.server_url, step_s)
        arguments = ("--type", runtime.type, "--port", str(port), "--model", "a.safetensors", "--model", "b.ckpt")
        self.server = Child(
            *("-m", "runtimes.standin", *arguments, *self.model.options),
            log=self._log,
            endpoint=self.aws.url,
            **self.model.environment,
        )
        self.line = server_proxy(runtime.network, self.server_url) if server_proxy else None
        self.agent = Child(
            "-m",
            "queue_agent",
            log=agent_log or self._log,
            endpoint=self.aws.url,
            wrapper=wrapper,
            **{
                "SQS_QUEUE_URL": f"{self.aws.url}/{ACCOUNT}/tasks-{runtime.name}",
                "SQS_DEAD_QUEUE_URL": f"{self.aws.url}/{ACCOUNT}/dead-{runtime.name}",
                "SNS_TOPIC_ARN": runtime.notice_topic,
                "S3_BUCKET": runtime.bucket,
                "JOBS_TABLE": runtime.table.name if runtime.table else "",
                "RUNTIME_TYPE": runtime.type,
                "RUNTIME_NAME": runtime.name,
                "API_BASE_URL": self.line.url if self.line else self.server_url,
                "DYNAMIC_SD_MODEL": "true",
                "ALLOW_LOOPBACK_INPUTS": "true",
                "HEALTH_PORT": str(self._health_port),
                **environment,
            },
        )

    def start(self, *, agent=True):
        """Start the model server, then the agent."""
        if not self.server.is_alive:
            self.start_server()
        if agent:
            self.agent.start()
        return self

    def start_server(self):
        self.server.start()
        self.wait_for_server()

    def wait_for_server(self):
        url = f"{self.server_url}{self.model.ready_path}"
        wait_for(lambda: answers(url), lambda: f"the model server; log:\n{self.log}")

    def keep_alive(self):
        """Restart agent and server whenever they end, and a server that the agent calls dead, as a kubelet does."""
        self._watch = Kubelet(self.agent, self.server, self._health_port)

    def faults(self, **changes):
        """Set faults of a stand-in, by their names there."""
        self.model.faults(**changes)

    @property
    def generations(self):
        """All jobs that the model server has begun since it was started."""
        return self.model.generations

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def close(self):
        if self._watch is not None:
            self._watch.close()
        self.agent.kill()
        self.server.kill()
        self.aws.close()
        if self.line is not None:
            self.line.close()


class Kubelet(threading.Thread):
    """Starts processes again when they have ended, and ends a model server whose liveness probe fails."""

    _FAILURES = 3
    _PERIOD_S = 1.0

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
            if time.monotonic() - probed_s >= self._PERIOD_S:
                probed_s = time.monotonic()
                failures = failures + 1 if self._says_dead() else 0
            if failures == self._FAILURES:
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
