"""Messages that are no tasks come among good ones; these are done, those are kept, and the agent lives on."""

import json
import random

from faultkit.audit import check_endings
from faultkit.processes import wait_for

GOOD, POISON = 20, 40


def _envelope(message):
    return json.dumps({"Type": "Notification", "MessageId": "m", "Timestamp": "x", "Message": message})


def _task(**changes):
    return json.dumps({"metadata": {"id": "p", "runtime": "r", "tasktype": "text-to-image", **changes}, "content": {}})


KINDS = [
    "no JSON at all",
    "{",
    "null",
    "[]",
    '"a string"',
    "0",
    "NaN",
    "1e999",
    "9" * 5000,
    "[" * 100_000,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "{}",
    '{"metadata": null, "content": null}',
    '{"metadata": {"id": "\\ud800", "runtime": "r", "tasktype": "t"}, "content": {}}',
    '{"metadata": {"id": "poison-1"}, "content": {"prompt": "\\udfff"}}',
    "\u2028\ufeff\t{}",
    "x" * 250_000,
    _task(id=7),
    _task(id=""),
    _task(id="../../evil"),
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


def test_every_good_task_among_poison_is_done_once_and_every_poison_is_kept_in_the_dead_queue(make_runtime, seed):
    runtime = make_runtime("sdwebui")
    pods = [runtime.pod().start() for _ in range(2)]
    source = random.Random(seed)
    poison = [*KINDS, *source.choices(KINDS, k=POISON - len(KINDS))]
    storm = [*poison, *[None] * GOOD]
    source.shuffle(storm)
    for body in storm:
        if body is None:
            runtime.submit()
        else:
            runtime.send(body)
    letters = []

    def all_are_dealt_with():
        runtime.listen(wait_s=1)
        letters.extend(runtime.dead_letters())
        return runtime.depth() == (0, 0) and all(map(runtime.notices, runtime.asked))

    wait_for(all_are_dealt_with, lambda: f"all dealt with, queue {runtime.depth()}; {runtime.story()}")
    letters += runtime.dead_letters()
    assert sorted(body for body, _ in letters) == sorted(poison)
    assert all(attributes.get("reason") for _, attributes in letters), letters
    told = [notice for notice in runtime.heard if notice["id"] not in runtime.asked]
    runtime.heard[:] = [notice for notice in runtime.heard if notice["id"] in runtime.asked]
    assert not any(notice["result"] for notice in told)
    # Who sent something with a readable id hears of it.
    assert {f"poison-{number}" for number in range(1, 8)} - {notice["id"] for notice in told} <= {"poison-1"}
    assert check_endings(runtime) == 0
    assert all(pod.agent.is_alive and not pod.agent.exits for pod in pods)
