"""What an agent has in its hands, as its calls to SQS tell."""

import json
import time


class Hands:
    """The messages that an agent has received, neither deleted nor given back, and keeps hidden.

    Args:
        proxy: What lies between the agent and AWS.
        visibility_s: The queue's.
    """

    def __init__(self, proxy, visibility_s):
        self._visibility_s = visibility_s
        self._hidden_until_s = {}
        proxy.heed = self._heed

    def let_go(self):
        """Forget them all; returns how many there were."""
        now_s = time.monotonic()
        held = sum(until_s > now_s for until_s in list(self._hidden_until_s.values()))
        self._hidden_until_s = {}
        return held

    def _heed(self, exchange, body):
        name, until_s = exchange.call.name, time.monotonic() + self._visibility_s
        if name == "sqs:ReceiveMessage":
            received = json.loads(body or b"{}").get("Messages") or ()
            self._hidden_until_s |= {message["ReceiptHandle"]: until_s for message in received}
        elif name == "sqs:DeleteMessage":
            self._hidden_until_s.pop(json.loads(exchange.body)["ReceiptHandle"], None)
        elif name == "sqs:ChangeMessageVisibility":
            change = json.loads(exchange.body)
            # The agent renews by the queue's own visibility timeout; any other is a delay after which it comes again.
            kept = change["VisibilityTimeout"] == self._visibility_s
            self._hidden_until_s.pop(change["ReceiptHandle"], None)
            if kept:
                self._hidden_until_s[change["ReceiptHandle"]] = until_s
