"""The door is killed between its writes; each task still has one job and one ending, whether its caller repeats it."""

import contextlib
import time

import pytest
from faultkit.acts import cut
from faultkit.audit import check_endings
from faultkit.aws import name_call
from faultkit.door import Door
from faultkit.lanes import Case
from faultkit.processes import wait_for
from faultkit.proxy import FaultProxy
from faultkit.runtime import content_of

from contract.objects import content_key
from jobs.record import JobRecord, JobState

ENTERED = "dynamodb:TransactWriteItems"
"""The write of the job's row, under a key."""
ENTERED_WITHOUT_KEY = "dynamodb:PutItem"
PUBLISHED = "sns:Publish"
START_S = 3
LATE_S = 6
"""Longer than the keeper's pause between two looks at what is due."""
TASK_ID = "t"
LARGE_PROMPT = "p" * 240_000
"""Too much for a message: it lies in the bucket."""


class Died(Case):
    """A door that is killed once a call has done its deed, and before the next one.

    Args:
        name: The case.
        call: That call.
        repeats: Whether the caller, who has no answer, sends the same again under the same key.
        content: What is special about the task's content.
        metadata: The same of its metadata.
    """

    def __init__(self, name, call, *, repeats=False, content=None, metadata=None):
        super().__init__(name)
        self._call = call
        self._repeats = repeats
        self._content = {**content_of("sdwebui"), **(content or {})}
        self._metadata = metadata or {}

    @contextlib.contextmanager
    def bed(self, kit):
        with contextlib.ExitStack() as stack:
            runtime = stack.enter_context(kit.runtime("sdwebui"))
            proxy = stack.enter_context(contextlib.closing(FaultProxy(kit.network, kit.aws.url, name_call)))
            door = stack.enter_context(contextlib.closing(Door(runtime, proxy.url)))
            door.open()
            door.start_keeper()
            yield runtime, proxy, door, runtime.pod().start()

    def run(self, bed):
        runtime, proxy, door, pod = bed
        rule = proxy.rule(self._call, cut(door.die, after_the_deed=True), times=1)
        order = (TASK_ID, self._content, self._metadata)
        runtime.asked[TASK_ID] = 1
        key = "k" if self._repeats else None
        assert door.submit(*order, key=key) is None
        assert rule.hits == 1
        record = _only_record(runtime)
        runtime.inputs.add(content_key(record.job))  # what the door has stored of it
        if self._call != PUBLISHED:
            assert record.state is JobState.ACCEPTED
            _let_a_minute_pass(runtime, record)
        if self._repeats:
            door.open_again()
            answer = door.submit(*order, key=key)
            assert (answer.status_code, answer.json()["job"]) == (200, record.job)
        runtime.wait_until_all_are_told()
        time.sleep(LATE_S)
        runtime.wait_until_all_are_told()
        assert _only_record(runtime).job == record.job
        return self.ending(runtime), len(pod.generations)

    def ending(self, runtime):
        """How many second notices there are, and no more than one set of pictures."""
        return check_endings(runtime)


class Lost(Died):
    """A door that is killed, and with it a content that nobody has."""

    def ending(self, runtime):
        """The code of the task's error in its one notice."""
        (notice,) = runtime.heard
        assert "Contents" not in runtime.aws.s3.list_objects_v2(Bucket=runtime.bucket)  # not even a manifest
        return notice["error"]["code"]


BEFORE, AFTER = "before the publication", "before it is marked as published"
DONE = [
    Died(f"{BEFORE}, and the caller repeats", ENTERED, repeats=True),
    Died(f"{AFTER}, and the caller repeats", PUBLISHED, repeats=True),
    Died(f"{BEFORE}, with its content in the bucket", ENTERED_WITHOUT_KEY, content={"prompt": LARGE_PROMPT}),
    Died(AFTER, PUBLISHED),
]
LOST = [Lost(BEFORE, ENTERED_WITHOUT_KEY, metadata={"deadlines": {"start_seconds": START_S}})]


@pytest.mark.parametrize("case", DONE, ids=str)
def test_a_task_is_drawn_once_and_told_once_though_the_door_is_killed(endings, case):
    assert endings[case] == (0, 1)


@pytest.mark.parametrize("case", LOST, ids=str)
def test_who_does_not_repeat_a_task_that_was_lost_is_told_once_that_it_failed_though_the_door_is_killed(endings, case):
    assert endings[case] == ("start_deadline_exceeded", 0)


def _only_record(runtime):
    """The one job in the table."""
    items = runtime.aws.dynamodb.scan(TableName=runtime.table.name)["Items"]
    (record,) = (JobRecord.from_item(item) for item in items if "state" in item)
    return record


def _let_a_minute_pass(runtime, record):
    """Make a job due that is looked at a minute after it was entered; a start deadline must be over all the same."""
    wait_for(lambda: time.time() > record.created_s + START_S, "the start deadline")
    update = runtime.table.postpone(record.job, seen_due_s=record.due_s, due_s=time.time())
    runtime.aws.dynamodb.update_item(**update)
