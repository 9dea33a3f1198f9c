"""The driver of type sagemaker, with SageMaker and S3 in memory: what becomes of calls when agents die or S3 fails."""

import asyncio
import io
import time

import pytest
from botocore.exceptions import ClientError

from contract.deadlines import DEFAULT_DEADLINES
from contract.ids import new_job_id
from contract.task import Task
from queue_agent.errors import DeadlineExceeded, InvalidTask, PlatformError, ServerError, ServiceRefused, StillRunning
from queue_agent.ports import RunSignals
from runtimes.sagemaker.driver import executor
from runtimes.sagemaker.driver.call import CallFolder
from runtimes.sagemaker.driver.executor import MAX_REALTIME_BYTES, SageMaker
from runtimes.sagemaker.options import SageMakerEndpoint
from test.kit.tasks import INPUT_PNG

SIGNALS = RunSignals(started=lambda batch=None: None, freed=lambda: None)
JOB = new_job_id()


def error(status, code, message=""):
    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "operation")


class Stream(io.BytesIO):
    async def __aenter__(self):
        return self

    async def __aexit__(self, *_): ...

    async def read(self, size):
        return super().read(size)


class Bucket:
    """S3: ``objects`` by key; ``fails`` is raised by the next of all ``reads``."""

    def __init__(self):
        self.objects = {}
        self.fails = []
        self.reads = 0

    async def call(self, operation, *, Key, Body=b"", **_):  # noqa: N803 (botocore's names)
        self.reads += operation == "get_object"
        if operation == "put_object":
            self.objects[Key] = Body
        elif operation == "delete_object":
            self.objects.pop(Key, None)
        elif self.fails:
            raise self.fails.pop()
        elif Key not in self.objects:
            raise error(404, "NoSuchKey")
        else:
            return {"Body": Stream(self.objects[Key]), "ContentLength": len(self.objects[Key])}
        return {}

    async def aclose(self): ...


class Endpoint:
    """SageMaker: answers each call with the next of ``outcomes``: the result that it writes, an error, or None."""

    def __init__(self, bucket, *outcomes):
        self.bucket = bucket
        self.outcomes = list(outcomes)
        self.calls = []
        self.writes_to = "bucket"

    async def call(self, operation, **arguments):
        self.calls.append(arguments)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        key = f"_sagemaker/{arguments['S3OutputPathExtension']}/{arguments['Filename']}"
        if outcome is not None:
            self.bucket.objects[key] = outcome
        return {"OutputLocation": f"s3://{self.writes_to}/{key}", "FailureLocation": f"s3://{self.writes_to}/failed"}

    async def aclose(self): ...


class Rig:
    """A driver with its surroundings; ``run`` is a claim's."""

    def __init__(self, *outcomes, patience_s=None, bucket=None, **model):
        self.bucket = bucket or Bucket()
        self.endpoint = Endpoint(self.bucket, *outcomes)
        self.driver = SageMaker(
            SageMakerEndpoint.model_validate({"endpoint": "mine", **model}),
            runtime=self.endpoint,
            calls=CallFolder(self.bucket, "bucket", "tiger"),
            deadlines=DEFAULT_DEADLINES,
            patience_s=patience_s,
        )

    async def prepare(self, **content):
        metadata = {"id": "a", "runtime": "tiger", "tasktype": "text-to-image", "job": JOB}
        return await self.driver.prepare(Task.model_validate({"metadata": metadata, "content": content}), None)

    async def run(self, claim=1):
        self.prepared = await self.prepare(prompt="p")
        result = await self.driver.run(self.prepared, JOB, claim, SIGNALS)
        return [output.content for output in result.outputs]

    def note(self, claim, called_s, **more):
        output = f"_sagemaker/tiger/{JOB}/{claim}.out"
        call = self.driver._calls.new_call(JOB, claim, called_s).model_copy(update=more)
        self.bucket.objects[f"_sagemaker/tiger/{JOB}/call.json"] = call.model_dump_json().encode()
        return output


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(executor, "_FIRST_PAUSE_S", 0.001)


async def test_a_claim_finds_the_result_of_one_that_died_before_the_endpoint_answered():
    rig = Rig()
    rig.bucket.objects[rig.note(1, time.time())] = INPUT_PNG
    assert await rig.run(claim=2) == [INPUT_PNG]
    assert rig.endpoint.calls == []


async def test_a_claim_waits_for_that_result_before_it_calls_again():
    rig = Rig()
    output = rig.note(1, time.time())
    running = asyncio.create_task(rig.run(claim=2))
    while rig.bucket.reads < 5 and not running.done():  # noqa: ASYNC110 (nothing is announced)
        await asyncio.sleep(0)
    rig.bucket.objects[output] = INPUT_PNG
    assert await running == [INPUT_PNG]
    assert rig.endpoint.calls == []


async def test_a_claim_calls_under_a_name_of_its_own_if_that_result_does_not_come():
    rig = Rig(INPUT_PNG)
    rig.note(1, time.time() - 3600)
    assert await rig.run(claim=2) == [INPUT_PNG]
    (call,) = rig.endpoint.calls
    assert (call["Filename"], call["InferenceId"]) == ("2.out", f"{JOB}-2")


async def test_a_call_that_the_endpoint_has_is_waited_for_however_long_ago_it_was_made_within_its_limits():
    rig = Rig(patience_s=0.01)
    rig.note(1, time.time() - 3600, failure="failed")
    with pytest.raises(StillRunning) as found:
        await rig.run(claim=2)
    assert found.value.delay_s == 300
    rig.note(1, time.time() - 5 * 3600, failure="failed")
    with pytest.raises(DeadlineExceeded):
        await rig.run(claim=3)
    assert rig.endpoint.calls == []


async def test_a_call_that_is_rejected_is_made_again_at_once_and_one_whose_fate_is_unknown_is_looked_for_first():
    rig = Rig(error(400, "ThrottlingException"), error(503, "ServiceUnavailable"))
    with pytest.raises(Exception, match="no more calls"):
        await rig.run(claim=1)
    assert await rig.driver._calls.find(JOB) is None
    with pytest.raises(ServerError):
        await rig.run(claim=2)
    assert (await rig.driver._calls.find(JOB)).claim == 2
    rig.bucket.objects[f"_sagemaker/tiger/{JOB}/2.out"] = INPUT_PNG
    assert await rig.run(claim=3) == [INPUT_PNG]
    assert len(rig.endpoint.calls) == 2


async def test_an_endpoint_that_writes_to_another_bucket_is_the_operators_to_change():
    rig = Rig(None)
    rig.endpoint.writes_to = "elsewhere"
    with pytest.raises(ServiceRefused, match=r"writes to s3://elsewhere/.* must be s3://bucket/_sagemaker/"):
        await rig.run()


async def test_a_read_that_fails_while_a_job_runs_is_repeated():
    rig = Rig(INPUT_PNG)
    rig.bucket.fails = [error(503, "SlowDown"), PlatformError("away")]
    assert await rig.run() == [INPUT_PNG]


async def test_what_a_call_has_left_stays_until_its_job_is_over():
    rig = Rig(INPUT_PNG)
    await rig.run()
    rig.driver.discard(rig.prepared, over=False)
    await rig.driver.aclose()
    assert len(rig.bucket.objects) == 2
    rig.driver.discard(rig.prepared, over=True)
    await rig.driver.aclose()
    assert rig.bucket.objects == {}


async def test_a_body_that_no_real_time_endpoint_takes_fails_before_it_is_sent():
    rig = Rig(mode="realtime")
    with pytest.raises(InvalidTask, match="25 MB"):
        await rig.prepare(prompt="x" * MAX_REALTIME_BYTES)
