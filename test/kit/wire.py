"""Sits between AWS and boto3 clients in this process; a test makes calls fail here."""

import json
import sys
import threading

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

_MANY = 1000


class DiedError(BaseException):
    """Simulates the end of the process, which no code can catch."""


class Wire:
    """Records each call by operation, and applies the trouble set for it. Register it for ``before-send``.

    Troubles are set for all calls of an operation, or for one call by its number from 1.
    """

    def __init__(self):
        self._session = URLLib3Session()
        self._lock = threading.Lock()
        self.clear()

    def clear(self):
        """Forget all calls and troubles."""
        self.calls = []
        self.receipts = []
        self.bodies = []
        """What each call sent."""
        self._troubles = {}

    def __call__(self, request, event_name, **_):
        operation = event_name.rpartition(".")[2]
        with self._lock:
            self.calls.append(operation)
            self.bodies.append(request.body)
            number = len(self.calls)
        trouble = self._troubles.get(number) or self._troubles.get(operation)
        return trouble(request) if trouble else None

    def note_receipts(self, parsed, **_):
        """Keep receipts of received messages; register this for ``after-call.sqs.ReceiveMessage``."""
        self.receipts += [message["ReceiptHandle"] for message in parsed.get("Messages", ())]

    def die_before(self, call):
        """Make the process die before a call."""
        self._troubles[call] = self._die

    def die_after(self, call):
        """Make the process die after AWS has done the call."""
        self._troubles[call] = lambda request: self._die(self._session.send(request))

    def cut(self, call):
        """Make AWS unreachable for an operation, or for a call and all that follow."""

        def trouble(request):
            raise ConnectionClosedError(endpoint_url=request.url)

        for one in [call] if isinstance(call, str) else range(call, call + _MANY):
            self._troubles[one] = trouble

    def lose_answers(self, call, times=sys.maxsize):
        """Let AWS do the calls, but lose the answers."""
        left = iter(range(times))

        def trouble(request):
            if next(left, None) is None:
                return
            self._session.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

        self._troubles[call] = trouble

    def throttle(self, operations, source, share=0.5):
        """Let DynamoDB throttle a share of the calls of some operations; ``source`` is a source of random numbers."""

        def trouble(request):
            error = source.choice(("ProvisionedThroughputExceededException", "ThrottlingException"))
            return self._refusal(request, error) if source.random() < share else None

        self._troubles |= dict.fromkeys(operations, trouble)

    def answer_once(self, operation, error, **body):
        """Let DynamoDB answer the first such call with an error."""

        def trouble(request):
            del self._troubles[operation]
            return self._refusal(request, error, **body)

        self._troubles[operation] = trouble

    @staticmethod
    def _refusal(request, error, **body):
        content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{error}", **body}).encode()
        response = AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, None)
        response._content = content
        return response

    def meanwhile(self, operation, event, *, after=False, times=1):
        """Run an event just before such a call arrives, or just after."""
        left = iter(range(times))

        def trouble(request):
            if next(left, None) is None:
                return None
            response = self._session.send(request) if after else None
            event()
            return response

        self._troubles[operation] = trouble

    @staticmethod
    def _die(_):
        raise DiedError
