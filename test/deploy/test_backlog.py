"""The tasks in the queues of a deployment, by their runtime."""

from deploy.backlog import backlogs


class FakeSqs:
    """Queues by name, each with so many messages."""

    def __init__(self, **queues):
        self._queues = {name.replace("_", "-"): messages for name, messages in queues.items()}

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return [{"QueueUrls": [f"https://sqs/1/stack-{name}" for name in self._queues]}]

    def get_queue_attributes(self, *, QueueUrl, AttributeNames):  # noqa: N803 (SQS's names)
        counts = dict.fromkeys(AttributeNames, "0")
        return {"Attributes": {**counts, AttributeNames[0]: str(self._queues[QueueUrl.rpartition("/stack-")[2]])}}


def test_queues_of_priorities_are_their_runtimes_and_a_runtime_that_is_named_like_one_has_its_own():
    with_priorities = {"a": 0, "a_high": 2, "a_low": 0, "a_returned": 0, "a_dead": 1}
    named_alike = {"b": 3, "b_returned": 0, "b_dead": 0, "b_high": 4, "b_high_returned": 0, "b_high_dead": 5}
    assert backlogs(FakeSqs(**with_priorities, **named_alike), "stack") == {
        "a": {"stack-a-high": 2, "stack-a-dead": 1},
        "b": {"stack-b": 3},
        "b-high": {"stack-b-high": 4, "stack-b-high-dead": 5},
    }
