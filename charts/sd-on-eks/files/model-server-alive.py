"""Tells the kubelet whether the model server must be restarted, by exiting with 1.

Only the agent sees a server that answers and draws nothing. An agent that is not there says nothing: it may be
restarting, or its image may still be pulled. A server that has not started yet is given time from the start of its own
process.

Arguments: the agent's address, the server's port, seconds that a probe may wait, seconds that the server may take to
start, the process id of the server.
"""

import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_connection

agent, port, seconds, startup_s, process = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:5]), sys.argv[5]
START_TIME = 19
"""Of the fields after the process's name, which may have spaces: proc_pid_stat(5)."""


def age_s():
    """Give the seconds since the server's process was started."""
    started = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[START_TIME]
    return float(Path("/proc/uptime").read_text().split()[0]) - int(started) / os.sysconf("SC_CLK_TCK")


def ask(path):
    """Give the agent's complaint; None where it has none."""
    connection = HTTPConnection(agent, timeout=seconds)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return None if answer.status == HTTPStatus.OK else answer.read().decode(errors="replace")
    finally:
        connection.close()


is_late = age_s() > startup_s
try:
    create_connection(("127.0.0.1", port), timeout=seconds).close()
except ConnectionRefusedError:
    sys.exit(f"Nothing listens on port {port} after {startup_s:g} s." if is_late else 0)
except OSError:
    pass  # it is too busy to answer, of which the agent judges
try:
    if is_late and (complaint := ask("/readyz")):
        sys.exit(f"The model server is not ready after {startup_s:g} s: {complaint}")
    sys.exit(ask("/livez/model"))
except (OSError, HTTPException):
    sys.exit(0)
