"""Agents are killed at random and at each moment; no task is lost and none shows two sets of pictures."""

import contextlib
import os
import signal

import pytest
from faultkit.acts import cut
from faultkit.audit import check_endings
from faultkit.aws import CLAIM, FINISH, NOTIFIED, RENEW
from faultkit.lanes import Case
from faultkit.processes import wait_for
from faultkit.storms import FORMS, Storm

SHORT_KILLS, LONG_KILLS = 60, int(os.environ.get("FAULTS_KILLS", "1000"))
SECOND_NOTICES_PER_BLOW = 0.1
"""A blow is a kill; where jobs are drawn in batches, each job that a kill hits."""
STEP_S = 0.05


class Weather(Case):
    """A storm of kills over one runtime; each form and type takes its share of all kills.

    The storms of one type come one after the other: all at once, agents that start would take the whole machine.
    """

    def __init__(self, runtime_type, *, table, kills):
        form = "with" if table else "without"
        self._form = (runtime_type, table)
        number = FORMS.index(self._form)
        self._kills = kills * (number + 1) // len(FORMS) - kills * number // len(FORMS)
        super().__init__(f"{runtime_type} {form} a table, {self._kills} kills", lane=f"{runtime_type} {kills}")

    @contextlib.contextmanager
    def bed(self, kit):
        yield kit

    def run(self, bed):
        runtime_type, table = self._form
        with bed.runtime(runtime_type, table=table) as runtime:
            storm = Storm(runtime, bed.seed, bed.input_png)
            storm.rage(self._kills)
            return storm.report()


def weathers(kills):
    return [Weather(runtime_type, table=table, kills=kills) for runtime_type, table in FORMS]


SHORT, LONG = weathers(SHORT_KILLS), weathers(LONG_KILLS)


@pytest.mark.parametrize("case", [*SHORT, *(pytest.param(one, marks=pytest.mark.slow) for one in LONG)], ids=str)
def test_each_task_has_one_set_of_pictures_and_a_notice_though_agents_and_servers_are_killed(endings, seed, case):
    report = endings[case]
    print(f"seed {seed}, {case}: {report}")
    assert set(report.exits) == {-signal.SIGKILL}, "an agent ended by itself"
    assert "unknown" not in report.generations_by_task


@pytest.mark.parametrize("cases", [SHORT, pytest.param(LONG, marks=pytest.mark.slow)], ids=["short", "long"])
def test_second_notices_are_at_most_a_tenth_of_the_kills_or_of_the_jobs_in_batches_that_they_hit(endings, seed, cases):
    reports = [endings[case] for case in cases]
    kills, blows = sum(one.kills for one in reports), sum(one.blows for one in reports)
    seconds = sum(one.second_notices for one in reports)
    print(f"seed {seed}: {kills} kills, {blows} blows with each job of a batch, {seconds} second notices")
    assert seconds <= SECOND_NOTICES_PER_BLOW * blows


class Moment(Case):
    """A moment of a task's way at which its agent is killed: before a call's deed, or after it."""

    def __init__(self, moment, call, path="*", *, name="", table=True, generations=1, second_notices=0):
        form = "" if table else ", without a table"
        super().__init__(f"{moment} {name or call}{form}")
        self._call = call
        self._path = path
        self._after = moment == "after"
        self._table = table
        self.generations = generations
        self.second_notices = second_notices

    def bed(self, kit):
        return kit.runtime("sdwebui", visibility_s=5, table=self._table)

    def run(self, bed):
        pod = bed.pod(step_s=STEP_S)
        act = cut(lambda: pod.agent.send(signal.SIGKILL), after_the_deed=self._after)
        rule = pod.aws.rule(self._call, act, path=self._path, times=1)
        bed.submit(steps=30)
        pod.start().keep_alive()
        bed.wait_until_all_are_told()
        assert rule.hits == 1
        wait_for(lambda: pod.agent.exits, "the kubelet to notice")
        assert pod.agent.exits == [-signal.SIGKILL]
        return check_endings(bed), len(pod.generations)


PICTURE, MANIFEST = ("s3:PutObject", "*.png"), ("s3:PutObject", "*.out")
UPDATE = "dynamodb:UpdateItem"


def moments():
    for table in (True, False):
        yield Moment("before", "sqs:ChangeMessageVisibility", generations=2, table=table)
        yield Moment("after", *MANIFEST, name="manifest", table=table)
        yield Moment("after", "sns:Publish", table=table, second_notices=1)
        yield Moment("before", "sqs:DeleteMessage*", table=table, second_notices=int(not table))
    yield Moment("after", "sqs:ReceiveMessage")
    yield Moment("before", *PICTURE, name="picture", generations=2)
    yield Moment("after", *PICTURE, name="picture", generations=2)
    yield Moment("before", *MANIFEST, name="manifest", generations=2)
    yield Moment("before", "sns:Publish")
    yield Moment("after", "sqs:DeleteMessage*")
    for name, path, generations in (("claim", CLAIM, 2), ("renewal", RENEW, 2), ("finish", FINISH, 1)):
        yield Moment("before", UPDATE, path, name=name, generations=generations)
        yield Moment("after", UPDATE, path, name=name, generations=generations)
    yield Moment("before", UPDATE, NOTIFIED, name="the mark of the notice", second_notices=1)
    yield Moment("after", UPDATE, NOTIFIED, name="the mark of the notice")


@pytest.mark.parametrize("case", list(moments()), ids=str)
def test_a_task_whose_agent_is_killed_at_this_moment_ends_once_and_is_drawn_again_only_if_nothing_was_stored(
    endings, case
):
    second_notices, generations = endings[case]
    print(f"{case}: {second_notices} second notices, {generations} generations")
    assert second_notices == case.second_notices
    assert generations <= case.generations
