"""Lambda's shell for answers that last or are large: a loop of our own on the Runtime API.

Lambda's Python runtime cannot stream. The exec wrapper ``api/stream_wrapper`` starts this instead of it. The protocol
is in Lambda's guide, "Using the Lambda runtime API" and "Building a custom runtime", section "Response streaming"; what
API Gateway reads of a streamed answer is in its guide, "Lambda proxy integration for response streaming".
"""

import http.client
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from api.access_log import request_line
from api.door import Door
from api.errors import InvalidRequestError
from api.faces.alpha import NOWHERE
from api.http import Download, Request, Response, Stream, Wait
from api.lambda_events import request_of
from api.services import Services
from api.waiting import followed, waited

_MAX_STREAM_S = 14 * 60.0
"""Lambda ends a function after 15 minutes; clients then reconnect."""
_MAX_WAIT_S = 4 * 60.0
"""API Gateway closes a regional API's stream that is silent for 5 minutes."""
_DELIMITER = bytes(8)
"""Between the head of an answer and its body."""
_HEAD_TYPE = "application/vnd.awslambda.http-integration-response"

logger = logging.getLogger(__name__)


class StreamedAnswer(NamedTuple):
    """The head of an answer, and its body piece by piece."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[bytes]


class StreamingShell:
    """Answers events of API Gateway piece by piece."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._door = Door(services)

    def respond(self, event: Mapping[str, Any]) -> StreamedAnswer:
        """Answer one request; a stream's pieces are produced as its events happen."""
        try:
            request = request_of(event, self._services.settings.api_keys)
        except InvalidRequestError as exc:
            return _at_once(NOWHERE.error(exc))
        answer = self._door.answer(request)
        if isinstance(answer, Wait):
            job = waited(answer, self._services.jobs, max_s=_MAX_WAIT_S)
            answer = self._door.rendered(request, answer, job)
        match answer:
            case Stream():
                texts = followed(answer, self._services.jobs, max_s=_MAX_STREAM_S)
                found = StreamedAnswer(200, answer.headers, (text.encode() for text in texts))
            case Download():
                found = self._download(request, answer)
            case Response():
                found = _at_once(answer)
        logger.info("%s %d", request_line(request.method, f"/{request.path}"), found.status)
        return found

    def _download(self, request: Request, download: Download) -> StreamedAnswer:
        pieces = download.pieces()
        try:
            first = next(pieces, b"")  # before the head, which promises a body
        except Exception as exc:  # noqa: BLE001 (as in the door)
            return _at_once(self._door.refused(request, exc))
        return StreamedAnswer(200, download.headers, chain([first], pieces))


class RuntimeApi:
    """Lambda's Runtime API, an HTTP server next to the function."""

    def __init__(self, address: str) -> None:
        self._address = address

    def next_invocation(self) -> tuple[str, dict[str, Any]]:
        """Wait for the next event; returns the id of its request and the event."""
        connection = http.client.HTTPConnection(self._address)
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        response = connection.getresponse()
        event = json.loads(response.read())
        connection.close()
        return str(response.headers["Lambda-Runtime-Aws-Request-Id"]), event

    def send(self, request_id: str, answer: StreamedAnswer) -> None:
        """Send an answer piece by piece, as the pieces come; raise OSError if the caller is gone."""
        connection = http.client.HTTPConnection(self._address)
        connection.putrequest("POST", f"/2018-06-01/runtime/invocation/{request_id}/response")
        connection.putheader("Content-Type", _HEAD_TYPE)
        connection.putheader("Lambda-Runtime-Function-Response-Mode", "streaming")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        head = json.dumps({"statusCode": answer.status, "headers": dict(answer.headers)}).encode()
        for piece in _chunks(head + _DELIMITER, answer.pieces):
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")
        connection.getresponse().read()
        connection.close()


def _chunks(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield head
    yield from filter(None, pieces)


def _at_once(response: Response) -> StreamedAnswer:
    return StreamedAnswer(response.status, response.headers, [response.body])


def main() -> None:
    """Answer events until Lambda ends the process."""
    logging.basicConfig(format="%(levelname)s %(message)s")
    logging.getLogger("api").setLevel(logging.INFO)
    shell, runtime = (
        StreamingShell(Services.from_environment(os.environ)),
        RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"]),
    )
    while True:
        request_id, event = runtime.next_invocation()
        try:
            runtime.send(request_id, shell.respond(event))
        except OSError as exc:
            logger.info("the stream ended early: %s", type(exc).__name__)


if __name__ == "__main__":
    main()
