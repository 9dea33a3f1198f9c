"""Measures the front door's cost beyond its necessary AWS calls.

AWS is moto's server; each cold start is a new process.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from bench.figures import Figure, paired_differences, print_all
from jobs.schema import DEFINITION
from local.sandbox import sandboxed
from test.kit.aws import FakeAws

COLD_LIMIT_MS = 80
WARM_LIMIT_MS = 2

_REQUEST = {
    "httpMethod": "POST",
    "path": "/v1alpha2",
    "headers": {"Content-Type": "application/json"},
    "body": json.dumps(
        {
            "task": {
                "metadata": {"id": "bench", "runtime": "sdruntime", "tasktype": "text-to-image"},
                "content": {"alwayson_scripts": {}, "prompt": "A dog", "steps": 16, "width": 512, "height": 512},
            }
        }
    ),
    "requestContext": {"identity": {"apiKeyId": "key"}},
}

_AWS_CALLS = """
sns = boto3.client("sns")
def publish():
    sns.publish(
        TopicArn=os.environ["TASK_TOPIC_ARN"],
        Message=os.environ["BENCH_MESSAGE"],
        MessageAttributes={"runtime": {"DataType": "String", "StringValue": "sdruntime"}},
        MessageGroupId="key",
    )
import uuid, zlib
from concurrent.futures import ThreadPoolExecutor
dynamodb, table = boto3.client("dynamodb"), os.environ["JOBS_TABLE"]
threads = ThreadPoolExecutor(1)
def keep(pk):
    request = zlib.compress(os.environ["BENCH_MESSAGE"].encode())
    dynamodb.put_item(TableName=table, Item={"pk": {"S": pk}, "request": {"B": request}})
def aws_calls():
    key = {"pk": {"S": str(uuid.uuid4())}}
    job = {"state": {"S": "accepted"}, "due_shard": {"S": "0"}, "due_at": {"N": "1"}}
    dynamodb.put_item(TableName=table, Item=key | job, ConditionExpression="attribute_not_exists(pk)")
    keeping = threads.submit(keep, "request/" + key["pk"]["S"])
    publish()
    keeping.result()
    dynamodb.update_item(
        TableName=table,
        Key=key,
        UpdateExpression="SET #s = :q, due_at = :d",
        ConditionExpression="#s = :a",
        ExpressionAttributeNames={"#s": "state"},
        ExpressionAttributeValues={":q": {"S": "queued"}, ":a": {"S": "accepted"}, ":d": {"N": "2"}},
    )
"""

_COLD_DOOR = f"""
from api.handlers import handler
answer = handler({_REQUEST!r}, None)
assert answer["statusCode"] == 200, answer
"""

_COLD_AWS_CALLS = f"""
import boto3, os
{_AWS_CALLS}
aws_calls()
"""

_WARM = f"""
import json, os, sys, time
import boto3
from api.handlers import handler
{_AWS_CALLS}
def timed_ms(call):
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000
request = {_REQUEST!r}
pairs = [(timed_ms(lambda: handler(request, None)), timed_ms(aws_calls)) for _ in range(int(sys.argv[1]) + 20)]
print(json.dumps(pairs[20:]))
"""


def report(runs: int) -> list[Figure]:
    """Measure cold starts and warm calls, alternately of the door and of plain boto3; print and return the figures."""
    print(f"front door, {runs} cold starts and {runs * 20} warm calls of each kind: median (minimum to maximum)")
    with tempfile.TemporaryDirectory() as folder, closing(FakeAws(Path(folder))) as aws:
        runtimes = Path(folder, "runtimes.json")
        runtimes.write_text('[{"name": "sdruntime", "type": "sdwebui", "model_filename": "a.safetensors"}]')
        aws.dynamodb.create_table(TableName="jobs", **DEFINITION)
        # Without the caller's PYTHONDONTWRITEBYTECODE, with which each process compiles all modules, unlike Lambda.
        environment = {
            **sandboxed(os.environ, aws.url),
            "TASK_TOPIC_ARN": aws.make_topic("tasks"),
            "OUTPUT_BUCKET": "bucket",
            "JOBS_TABLE": "jobs",
            "RUNTIMES_FILE": str(runtimes),
            "BENCH_MESSAGE": str(_REQUEST["body"]),
        }
        # Drop the first run, which compiles modules and fills the disk cache.
        cold = [[_run(code, environment)[0] for code in (_COLD_DOOR, _COLD_AWS_CALLS)] for _ in range(runs + 1)][1:]
        warm = json.loads(_run(_WARM, environment, str(runs * 20))[1])
    door_ms, boto3_ms = zip(*cold, strict=True)
    warm_door_ms, warm_boto3_ms = zip(*warm, strict=True)
    return print_all(
        [
            Figure("cold: door, process start to answer", door_ms, "ms"),
            Figure("cold: boto3 with the same calls", boto3_ms, "ms"),
            Figure("cold: the door's own share", paired_differences(door_ms, boto3_ms), "ms", COLD_LIMIT_MS),
            Figure("warm: door", warm_door_ms, "ms"),
            Figure("warm: the AWS calls alone", warm_boto3_ms, "ms"),
            Figure("warm: the door's own share", paired_differences(warm_door_ms, warm_boto3_ms), "ms", WARM_LIMIT_MS),
        ]
    )


def _run(code: str, environment: dict[str, str], *arguments: str) -> tuple[float, str]:
    """Run Python code in a new process; return the milliseconds from start to exit, and the output."""
    command, start = [sys.executable, "-c", code, *arguments], time.perf_counter()
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return (time.perf_counter() - start) * 1000, done.stdout
