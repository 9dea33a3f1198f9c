"""The scaler as a process, for one release; it can be killed and started again."""

import json
import sys

from clusterkit.programs import Program, wait_for

from test.kit.processes import answers, free_port


class Scaler:
    """Tells KEDA how many pods a release should have, at ``url``, while it runs."""

    def __init__(self, aws, release, queue, folder):
        port = free_port()
        self._host = f"http://127.0.0.1:{port}"
        self.url = f"{self._host}/runtimes/{release}"
        self._folder = folder
        self._name = f"scaler-{release}"
        self._environment = aws.environment | {
            "QUEUES": json.dumps({release: [queue]}),
            "JOBS_TABLE": aws.jobs_table,
            "PORT": str(port),
        }
        self._program = None
        self._starts = 0

    def start(self):
        self._starts += 1
        command = (sys.executable, "-m", "scaler")
        name = f"{self._name}-{self._starts}"
        self._program = Program(name, *command, folder=self._folder, **self._environment)
        wait_for(lambda: self._program.check() and answers(f"{self._host}/health"), "the scaler answers", 60)

    def stop(self):
        """End it, if it runs."""
        if self._program is not None:
            self._program.stop()
            self._program = None

    def check(self):
        """Fail if it has ended by itself."""
        return self._program is None or self._program.check()
