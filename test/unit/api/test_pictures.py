"""Which job a picture joins, by a virtual clock."""

from dataclasses import dataclass, replace

import pytest

from api.operations.pictures import Pictures
from api.operations.submission import IdempotencyKey
from jobs import idempotency
from jobs.idempotency import KeyUse
from jobs.job import Job, JobState
from runtimes.catalog import RuntimeCatalog
from runtimes.pictures import PictureRequest

FOX = PictureRequest(prompt="a fox", seed=7)
HOUR_S = 3600


@dataclass
class Submitted:
    """A table with the one job that was submitted under a key at a time."""

    key: IdempotencyKey
    created_s: float

    def run(self, command):
        known = idempotency.key_use("tenant", self.key.value, 0)
        return KeyUse("j", self.key.body_sha256) if command.parameters["Key"] == known.parameters["Key"] else None

    def get(self, job):
        given = {"task_id": "a", "runtime": "r", "tasktype": "t", "prefix": "output", "context": "null"}
        given |= {"pictures": (), "error": None, "notified": False}
        return Job(pk=job, state=JobState.QUEUED, version=1, created_at=self.created_s, **given)


def pictures_at(now_s, table=None):
    return Pictures(table, RuntimeCatalog(()), clock=lambda: now_s)


@pytest.mark.parametrize("submitted_s", [HOUR_S * 1000, HOUR_S * 1000 + 1800, HOUR_S * 1001 - 1])
@pytest.mark.parametrize(("after_s", "is_joined"), [(0, True), (1, True), (3599, True), (3600, False), (7300, False)])
def test_a_job_is_joined_for_an_hour_wherever_the_clock_stood(submitted_s, after_s, is_joined):
    table = Submitted(pictures_at(submitted_s).key(FOX, "r"), submitted_s)
    found = pictures_at(submitted_s + after_s, table).drawn_lately("tenant", FOX, "r")
    assert (found is not None) == is_joined


def test_a_key_that_its_caller_has_used_for_another_request_stands_for_no_picture():
    key = pictures_at(HOUR_S).key(FOX, "r")
    table = Submitted(replace(key, body_sha256="another"), HOUR_S)
    assert pictures_at(HOUR_S, table).drawn("tenant", key) is None


def test_a_key_stands_for_the_runtime_and_every_parameter():
    pictures = pictures_at(HOUR_S)
    others = [FOX.model_copy(update={name: 8}) for name in ("seed", "steps", "width", "n")]
    keys = {pictures.key(one, "r").value for one in (FOX, *others)} | {pictures.key(FOX, "other").value}
    assert len(keys) == 6
    assert pictures.key(PictureRequest(seed=7, prompt="a fox"), "r") == pictures.key(FOX, "r")
