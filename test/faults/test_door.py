"""The door is killed between its writes; each task still has one job and one ending, whether its caller repeats it."""

import contextlib
import time

import pytest

from contract.objects import content_key
from jobs import commands
from jobs.job import Job, JobState
from test.kit.actions import cut, name_aws_call
from test.kit.audit import check_endings
from test.kit.processes import wait_for
from test.kit.proxy import FaultProxy
from test.kit.tasks import content_of

pytestmark = pytest.mark.concurrent

ENTERED = "dynamodb:TransactWriteItems"
"""The write of the job's row, under a key."""
ENTERED_WITHOUT_KEY = "dynamodb:PutItem"
PUBLISHED = "sns:Publish"
START_S = 3
TASK_ID = "t"
LARGE_PROMPT = "p" * 240_000
"""Too much for a message: it lies in the bucket."""


@contextlib.contextmanager
def killed_door(kit, call, *, key=None, prompt="p", **metadata):
    """A door that was killed once a call was answered, and before the next one.

    Gives the rig, the one job and what repeats the request.
    """
    with kit.rig("sdwebui") as rig, contextlib.closing(FaultProxy(kit.network, kit.aws.url, name_aws_call)) as proxy:
        door = rig.add_door(proxy.url)
        door.open()
        rig.start_keeper()
        rig.add_pod().start()
        rule = proxy.rule(call, cut(door.die, after_forwarding=True), times=1)
        rig.submitted[TASK_ID] = 1
        content = {**content_of("sdwebui"), "prompt": prompt}
        assert door.submit(TASK_ID, content, metadata, key=key) is None
        assert rule.hits == 1
        record = only_record(rig)
        rig.inputs.add(content_key(record.id))  # what the door has stored of it

        def repeat():
            door.open_again()
            return door.submit(TASK_ID, content, metadata, key=key)

        yield rig, record, repeat


def only_record(rig):
    """The one job in the table."""
    items = rig.aws.dynamodb.scan(TableName=rig.store.table)["Items"]
    (record,) = (Job.from_item(item) for item in items if "state" in item)
    return record


def let_a_minute_pass(rig, record):
    """Make a job due that is looked at a minute after it was entered; a start deadline must be over all the same."""
    assert record.state is JobState.ACCEPTED
    wait_for(lambda: time.time() > record.created_s + START_S, "the start deadline")
    rig.update(commands.postpone(record.id, seen_due_s=record.due_s, due_s=time.time()))


def check_drawn_and_told_once(rig, record):
    rig.wait_until_all_are_notified()
    # Nothing is due any more: neither keeper nor agent has a reason to come back to it.
    rig.until(lambda: (now := only_record(rig)).notified and now.due_s is None)
    assert only_record(rig).id == record.id
    assert check_endings(rig) == 0
    assert len(rig.pod.generations) == 1


@pytest.mark.parametrize("call", [ENTERED, PUBLISHED])
def test_a_task_that_its_caller_repeats_is_drawn_and_told_once_though_the_door_was_killed_after(kit, call):
    with killed_door(kit, call, key="k") as (rig, record, repeat):
        if call != PUBLISHED:
            let_a_minute_pass(rig, record)
        answer = repeat()
        assert (answer.status_code, answer.json()["job"]) == (200, record.id)
        check_drawn_and_told_once(rig, record)


def test_a_task_whose_content_is_in_the_bucket_is_published_by_the_keeper_though_the_door_was_killed_before(kit):
    with killed_door(kit, ENTERED_WITHOUT_KEY, prompt=LARGE_PROMPT) as (rig, record, _):
        let_a_minute_pass(rig, record)
        check_drawn_and_told_once(rig, record)


def test_a_published_task_is_drawn_and_told_once_though_the_door_was_killed_before_it_marked_it(kit):
    with killed_door(kit, PUBLISHED) as (rig, record, _):
        check_drawn_and_told_once(rig, record)


def test_a_task_that_was_lost_with_the_door_and_not_repeated_is_told_once_that_it_failed(kit):
    with killed_door(kit, ENTERED_WITHOUT_KEY, deadlines={"start_seconds": START_S}) as (rig, record, _):
        let_a_minute_pass(rig, record)
        rig.until(lambda: only_record(rig).notified)
        rig.wait_until_all_are_notified()
        (notice,) = rig.received
        assert notice["error"]["code"] == "start_deadline_exceeded"
        assert "Contents" not in rig.aws.s3.list_objects_v2(Bucket=rig.bucket)  # not even a manifest
        assert rig.pod.generations == []
