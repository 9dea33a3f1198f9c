"""A runtime whose jobs a service of AWS runs: a stand-in for the service, and agents beside it."""

import contextlib
import json

from test.kit.processes import HTTP, PATIENCE_S, ChildProcess, answers, free_port, wait_for


class ManagedRuntime:
    """The service's stand-in and an agent of a rig, neither of which is started yet.

    Args:
        rig: The runtime.
        model: ``model`` in config.yaml.
        service: What the service is called in the variable that leads clients to another endpoint, as BEDROCK_RUNTIME.
        environment: More of the agent's environment.
    """

    def __init__(self, rig, model, service, **environment):
        self.rig = rig
        self.url = f"http://127.0.0.1:{free_port()}"
        self._log = rig.kit.folder / f"{rig.name}-service.log"
        port = self.url.rpartition(":")[2]
        arguments = ("runtimes.standin", "--type", rig.type, "--port", port)
        self.service = ChildProcess(*arguments, log=self._log, endpoint=rig.aws.url, OUTPUT_BUCKET=rig.bucket)
        self._environment = {
            **rig.agent_environment(rig.aws.url),
            "MODEL_OPTIONS": json.dumps(model),
            f"AWS_ENDPOINT_URL_{service}": self.url,
            "ALLOW_LOOPBACK_INPUTS": "true",
            **environment,
        }
        self.agent = rig.add_child("queue_agent", **self._environment)

    def start(self):
        """Start the service, then the agent."""
        self.start_service()
        self.agent.start()
        return self

    def start_service(self):
        self.service.start()
        wait_for(lambda: answers(f"{self.url}/_standin/jobs"), self._log.read_text)

    def faults(self, **changes):
        """Set the service's faults."""
        HTTP.post(f"{self.url}/_standin/faults", json=changes).raise_for_status()

    @property
    def calls(self):
        """All calls of the service so far."""
        return HTTP.get(f"{self.url}/_standin/jobs").raise_for_status().json()["jobs"]

    def until(self, condition):
        """Wait for the test's own condition."""
        return wait_for(condition, lambda: f"{self.rig.describe()}\n{self.calls}", PATIENCE_S)

    def close(self):
        self.service.kill()


@contextlib.contextmanager
def managed_runtime(kit, runtime_type, model, service, *, rig=None, **environment):
    """A started service with an agent; both end with the context."""
    with (
        kit.rig(runtime_type, **(rig or {})) as made,
        contextlib.closing(ManagedRuntime(made, model, service, **environment)) as runtime,
    ):
        yield runtime.start()
