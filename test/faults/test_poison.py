"""Invalid messages come among good tasks; the tasks are done, the messages are kept, and the agent lives on."""

import json
import random

import pytest

from test.kit.audit import check_endings

GOOD, POISON = 20, 40


def _envelope(message):
    return json.dumps({"Type": "Notification", "MessageId": "m", "Timestamp": "x", "Message": message})


def _task(**changes):
    return json.dumps({"metadata": {"id": "p", "runtime": "r", "tasktype": "text-to-image", **changes}, "content": {}})


KINDS = [
    "no JSON at all",
    "null",
    "[]",
    "NaN",
    "9" * 5000,
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "{}",
    '{"metadata": null, "content": null}',
    '{"metadata": {"id": "\\ud800", "runtime": "r", "tasktype": "t"}, "content": {}}',
    '{"metadata": {"id": "poison-1"}, "content": {"prompt": "\\udfff"}}',
    "x" * 250_000,
    _task(id=7),
    _task(id="poison-" + "x" * 5000),
    _task(id="poison-2", prefix="_tasks"),
    _task(id="poison-3", job="no uuid"),
    _task(id="poison-4", schema="new"),
    _task(id="poison-5", context="c" * 100_000),
    json.dumps({"metadata": {"id": "poison-6", "runtime": "r", "tasktype": "text-to-image"}, "content": [1]}),
    json.dumps({"metadata": {"id": "poison-7", "runtime": "r", "tasktype": "text-to-image"}}),
    _envelope("no JSON inside"),
    _envelope("null"),
    _envelope(_envelope(_task())),
    json.dumps({"Type": "Notification", "Message": {"metadata": {}}}),
]


@pytest.mark.concurrent
def test_every_good_task_is_done_once_and_every_invalid_message_is_kept_in_the_dead_queue(kit):
    source = random.Random(kit.seed)
    poison = [*KINDS, *source.choices(KINDS, k=POISON - len(KINDS))]
    storm = [*poison, *[None] * GOOD]
    source.shuffle(storm)
    letters = []
    with kit.rig("sdwebui") as rig:
        pods = [rig.add_pod().start() for _ in range(2)]
        for body in storm:
            if body is None:
                rig.submit()
            else:
                rig.send(body)

        def all_are_dealt_with():
            rig.listen(wait_s=1)
            letters.extend(rig.dead_letters())
            return rig.is_empty() and all(map(rig.notices, rig.submitted))

        rig.until(all_are_dealt_with)
        letters += rig.dead_letters()
        assert sorted(body for body, _ in letters) == sorted(poison)
        assert all(attributes.get("reason") for _, attributes in letters), letters
        notices = [notice for notice in rig.received if notice["id"] not in rig.submitted]
        rig.received[:] = [notice for notice in rig.received if notice["id"] in rig.submitted]
        assert not any(notice["result"] for notice in notices)
        # Senders of a readable id get a notice.
        assert {f"poison-{number}" for number in range(1, 8)} - {notice["id"] for notice in notices} <= {"poison-1"}
        assert check_endings(rig) == 0
        assert all(pod.agent.is_alive and not pod.agent.exits for pod in pods)
