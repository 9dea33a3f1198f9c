"""Waits until SD WebUI has loaded a checkpoint; exits with 1 when it has not after some time.

Arguments: the server's address, the checkpoint's file name, seconds.
"""

import json
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

address, filename, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
end = time.monotonic() + seconds
seen = "nothing"


def ask(method, path):
    """Give the server's JSON answer."""
    connection = HTTPConnection(address, timeout=max(end - time.monotonic(), 0.1))
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        if answer.status != HTTPStatus.OK:
            raise ValueError(f"{answer.status} {answer.reason}")
        return json.load(answer)
    finally:
        connection.close()


while time.monotonic() < end:
    try:
        # The option names the checkpoint before it is loaded; this call waits for it and fails where there is none.
        ask("POST", "/sdapi/v1/reload-checkpoint")
        title = str(ask("GET", "/sdapi/v1/options").get("sd_model_checkpoint"))
        seen = title.partition(" [")[0]
        if seen.rpartition("/")[2] == filename.rpartition("/")[2]:
            sys.exit(0)
    except (OSError, ValueError, HTTPException) as exc:
        seen = str(exc)
    time.sleep(0.5)
sys.exit(f"{filename} is not loaded; there is {seen}")
