"""What lies between boto3 clients in this process and AWS: a test lets things happen there, call by call."""

import json
import sys

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session


class DiedError(BaseException):
    """The process ended here; nothing in it could catch that."""


class Wire:
    """Notes each call by its operation; where there is trouble, the call meets it.

    To be registered for ``before-send``.
    """

    def __init__(self):
        self._session = URLLib3Session()
        self.clear()

    def clear(self):
        """Forget all calls and troubles."""
        self.calls = []
        self.receipts = []
        self._troubles = {}

    def __call__(self, request, event_name, **_):
        operation = event_name.rpartition(".")[2]
        self.calls.append(operation)
        trouble = self._troubles.get(len(self.calls)) or self._troubles.get(operation)
        return trouble(request) if trouble else None

    def note_receipts(self, parsed, **_):
        """Keep the receipts of received messages, for who has to let them go; for ``after-call.sqs.ReceiveMessage``."""
        self.receipts += [message["ReceiptHandle"] for message in parsed.get("Messages", ())]

    def die_before(self, call):
        """Let the process die before a call, named by its operation or by its number from 1."""
        self._troubles[call] = self._die

    def die_after(self, operation):
        """Let the process die when AWS has done what it was asked."""
        self._troubles[operation] = lambda request: self._die(self._session.send(request))

    def cut(self, operation):
        """AWS cannot be reached."""

        def trouble(request):
            raise ConnectionClosedError(endpoint_url=request.url)

        self._troubles[operation] = trouble

    def lose_answers(self, operation, times=sys.maxsize):
        """AWS does what it is asked, and the answer is lost."""
        left = iter(range(times))

        def trouble(request):
            if next(left, None) is None:
                return
            self._session.send(request)
            raise ConnectionClosedError(endpoint_url=request.url)

        self._troubles[operation] = trouble

    def answer_once(self, operation, error, **body):
        """DynamoDB answers the first such call with an error."""

        def trouble(request):
            del self._troubles[operation]
            content = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{error}", **body}).encode()
            response = AWSResponse(request.url, 400, {"content-type": "application/x-amz-json-1.0"}, None)
            response._content = content
            return response

        self._troubles[operation] = trouble

    def meanwhile(self, operation, event, *, after=False, times=1):
        """Something else happens just before such a call arrives, or just after."""
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
