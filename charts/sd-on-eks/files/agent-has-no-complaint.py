"""Asks the queue agent whether the model server is alive; exits with 1 only where the agent says that it is not.

An agent that is not there says nothing: it may be restarting, or its image may still be pulled.

Arguments: the agent's address, seconds.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

address, seconds = sys.argv[1], float(sys.argv[2])
try:
    connection = HTTPConnection(address, timeout=seconds)
    connection.request("GET", "/livez/model")
    answer = connection.getresponse()
    if answer.status != HTTPStatus.OK:
        sys.exit(answer.read().decode(errors="replace"))
except (OSError, HTTPException):
    sys.exit(0)
