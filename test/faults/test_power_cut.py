"""Power cuts: all that was not synced is lost, and nothing that was answered is missing.

Preloaded into the process, ``power_cut.c`` keeps what fsync has brought to the disk, so what a cut leaves at worst.
"""

import contextlib
import hashlib
import random
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from local.aws import JOBS_TABLE, OUTPUT_BUCKET
from test.kit.aws import FakeAws

SHIM = Path(__file__).with_name("power_cut.c")
WORKERS = 6
CUTS = 2
AT_LEAST = 30
"""Acknowledged calls before a cut."""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("shim") / "power_cut.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SHIM, "-ldl"], check=True)
    return library


class Caller:
    """Makes calls until AWS is gone, and remembers those that were answered."""

    def __init__(self, aws, number, queue):
        self._aws = aws
        self._number = number
        self._queue = queue
        self._random = random.Random(f"power {number}")
        self.jobs, self.pairs, self.objects, self.messages, self.deleted = {}, set(), {}, set(), set()

    @property
    def count(self):
        return sum(map(len, (self.jobs, self.pairs, self.objects, self.messages)))

    def run(self):
        with contextlib.suppress(BotoCoreError, ClientError):
            for turn in range(10_000):
                self._call(f"{self._number}-{turn}")

    def _call(self, name):
        aws, table = self._aws, JOBS_TABLE
        match self._random.choice(("job", "change", "pair", "object", "message", "receipt")):
            case "job":
                aws.dynamodb.put_item(TableName=table, Item=item(name))
                self.jobs[name] = 0
            case "change" if self.jobs:
                name = self._random.choice(sorted(self.jobs))
                change = {
                    "UpdateExpression": "SET seen = seen + :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                }
                aws.dynamodb.update_item(TableName=table, Key={"pk": {"S": name}}, **change)
                self.jobs[name] += 1
            case "pair":
                puts = [{"Put": {"TableName": table, "Item": item(f"{half}-{name}")}} for half in ("left", "right")]
                aws.dynamodb.transact_write_items(TransactItems=puts)
                self.pairs.add(name)
            case "object":
                name = f"power/{self._number}-{self._random.randrange(5)}"  # some are replaced
                data = self._random.randbytes(self._random.randrange(1, 300_000))
                self.objects.pop(name, None)  # while it is being replaced, it is the one or the other
                aws.s3.put_object(Bucket=OUTPUT_BUCKET, Key=name, Body=data, ContentType="image/png")
                self.objects[name] = hashlib.md5(data).hexdigest()
            case "message":
                aws.sqs.send_message(QueueUrl=self._queue, MessageBody=name)
                self.messages.add(name)
            case "receipt":
                for message in aws.sqs.receive_message(QueueUrl=self._queue).get("Messages", []):
                    aws.sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
                    self.deleted.add(message["Body"])


def item(name):
    return {"pk": {"S": name}, "seen": {"N": "0"}, "tenant": {"S": "power"}}


def left_by_cut(disk, folder):
    """Make a folder of what is on the disk."""
    names = disk / "names"
    for link in names.rglob("*"):
        if link.is_symlink():
            target = folder / link.relative_to(names)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(disk / ".content" / link.readlink(), target)
    return folder


def test_nothing_that_was_answered_is_lost_in_a_power_cut_and_no_transaction_is_half_done(shim, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # the callers end with AWS
    store, before = tmp_path / "store-0", None
    for cut in range(CUTS + 1):
        disk = tmp_path / f"disk-{cut}"
        (disk / ".content").mkdir(parents=True)
        begin(store, disk)
        wrapper = ("env", f"LD_PRELOAD={shim}", f"LIVE={store}", f"DISK={disk}")
        aws = FakeAws(tmp_path, keep=store, wrapper=wrapper)
        if before is not None:
            check(aws, before, aws.make_queue(f"power-{cut - 1}"))
        queue = aws.make_queue(f"power-{cut}", VisibilityTimeout="600")
        if cut < CUTS:
            before = call_until_cut(aws, cut, queue)
        aws.process.kill()
        store = left_by_cut(disk, tmp_path / f"store-{cut + 1}")


def call_until_cut(aws, cut, queue):
    """Let callers call, and kill AWS in the middle; return the callers."""
    callers = [Caller(aws, f"{cut}-{number}", queue) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS) as pool:
        done = [pool.submit(caller.run) for caller in callers]
        while sum(caller.count for caller in callers) < AT_LEAST:
            time.sleep(0.02)
        time.sleep(random.Random(cut).uniform(0, 0.3))
        aws.process.kill()
        for one in done:
            one.result()
    return callers


def begin(store, disk):
    """Take a folder as synced, if there is one."""
    for path in [store, *store.rglob("*")]:
        if path.is_file():
            shutil.copy(path, disk / ".content" / str(path.stat().st_ino))
            link = disk / "names" / path.relative_to(store)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(str(path.stat().st_ino))


def check(aws, callers, queue):
    items = {}
    for page in aws.dynamodb.get_paginator("scan").paginate(TableName=JOBS_TABLE):
        items |= {one["pk"]["S"]: int(one["seen"]["N"]) for one in page["Items"] if "seen" in one}
    left, right = ({name.partition("-")[2] for name in items if name.startswith(half)} for half in ("left", "right"))
    assert left == right
    bodies = {message["Body"] for message in aws.take(queue)}
    for caller in callers:
        assert caller.pairs <= left
        for name, seen in caller.jobs.items():
            assert items[name] in (seen, seen + 1), "the last change may have had no answer"
        for name, digest in caller.objects.items():
            answer = aws.s3.get_object(Bucket=OUTPUT_BUCKET, Key=name)
            data = answer["Body"].read()
            assert (hashlib.md5(data).hexdigest(), answer["ContentType"]) == (digest, "image/png")
        assert not bodies & caller.deleted
    received = set().union(*(caller.deleted for caller in callers))
    sent = set().union(*(caller.messages for caller in callers))
    assert len(sent - received - bodies) <= WORKERS, "each may have received one without having deleted it"
