"""Measures what API v1 adds to its AWS calls, and what callers who wait cost. AWS is moto's server."""

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import aiohttp

from api.door import Door
from api.lambda_events import request_of
from api.operations.history import CANCELLED
from api.services import Services
from bench.figures import Figure, paired_differences, print_all
from contract.ids import new_job_id
from contract.task import Task
from jobs import commands
from jobs.schema import DEFINITION, KEY, TENANT_INDEX
from jobs.store import JobStore
from local.sandbox import sandboxed
from test.kit.aws import FakeAws
from test.kit.processes import ChildProcess, answers, free_port, wait_for

STATUS_LIMIT = 1.5
SUBMIT_LIMIT = 1.3
PAGE_LIMIT = 50.0
WAITERS_CORE_LIMIT = 15.0
LEARNED_LIMIT_MS = 500.0
_KEY = "key"
_TICKS = os.sysconf("SC_CLK_TCK")

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def report(*, short: bool) -> list[Figure]:
    """Measure status, submission, listing and waiting; print and return the figures."""
    calls, listed, waiters, learn_s = (20, 200, 20, 1.0) if short else (400, 10_000, 1_000, 10.0)
    print(f"API v1: {calls} calls of each kind in turn, {listed} jobs listed, {waiters} callers waiting")
    with tempfile.TemporaryDirectory() as folder, closing(FakeAws(Path(folder))) as aws:
        place = _BenchedApi(aws, Path(folder))
        with place.handler() as handler:
            figures = [
                *_status(place, handler, calls),
                *_submission(place, handler, calls),
                *_listing(place, handler, listed),
            ]
        return print_all([*figures, *asyncio.run(_waiting(place, waiters, learn_s))])


class _BenchedApi:
    """A table, a topic and a bucket, and the API's environment over them."""

    def __init__(self, aws: FakeAws, folder: Path) -> None:
        self.aws = aws
        self.folder = folder
        self.store = JobStore(aws.dynamodb, "jobs")
        aws.dynamodb.create_table(TableName="jobs", **DEFINITION)
        aws.s3.create_bucket(Bucket="out")
        runtimes = folder / "runtimes.json"
        runtimes.write_text('[{"name": "sdruntime", "type": "sdwebui", "model_filename": "a.safetensors"}]')
        self.topic = aws.make_topic("tasks")
        self.environment = {
            **sandboxed(os.environ, aws.url),
            "TASK_TOPIC_ARN": self.topic,
            "NOTICE_TOPIC_ARN": self.topic,
            "OUTPUT_BUCKET": "out",
            "JOBS_TABLE": "jobs",
            "RUNTIMES_FILE": str(runtimes),
            "SIGNING_SECRET": "the root secret of the bench, long enough",
        }

    @contextmanager
    def handler(self) -> Iterator[Handler]:
        """Lambda's handler, in this process."""
        with mock.patch.dict(os.environ, self.environment):
            from api.handlers import handler  # noqa: PLC0415 (it reads the environment when it is loaded)

            yield handler

    def queued(self, tenant: str = _KEY) -> str:
        """A job that waits."""
        job, now_s = new_job_id(), time.time()
        metadata = {"id": job, "runtime": "sdruntime", "tasktype": "text-to-image", "job": job, "tenant": tenant}
        task = Task.model_validate({"metadata": metadata, "content": {"prompt": "A dog"}})
        self.store.run(commands.accept(task, now_s, start_by_s=now_s + 3600))
        self.store.run(commands.published(job, now_s=now_s, start_by_s=now_s + 3600))
        return job


def _status(place: _BenchedApi, handler: Handler, calls: int) -> list[Figure]:
    job = place.queued()
    place.store.run(commands.cancel_waiting(job, CANCELLED, now_s=time.time()))
    event = _event("GET", f"/v1/jobs/{job}")
    get_item = {"TableName": "jobs", "Key": {KEY: {"S": job}}, "ConsistentRead": True}
    pairs = _in_turn(calls, lambda: handler(event, None), lambda: place.aws.dynamodb.get_item(**get_item))
    return _ratio("status", pairs, "a bare GetItem", STATUS_LIMIT)


def _submission(place: _BenchedApi, handler: Handler, calls: int) -> list[Figure]:
    """API v1 by the side of v1alpha2 without kept requests, which is what a submission was before API v1."""
    content = {"prompt": "A dog", "steps": 16, "width": 512, "height": 512}
    event = _event("POST", "/v1/jobs", {"runtime": "sdruntime", "type": "text-to-image", "content": content})
    metadata = {"id": "bench", "runtime": "sdruntime", "tasktype": "text-to-image"}
    earlier = _event("POST", "/v1alpha2", {"task": {"metadata": metadata, "content": content}})
    with mock.patch.dict(os.environ, place.environment):
        door = Door(Services.from_environment({**place.environment, "KEEP_REQUESTS": "false"}))
    pairs = _in_turn(calls, lambda: handler(event, None), lambda: door.answer(request_of(earlier)))
    return _ratio("submission", pairs, "v1alpha2, nothing kept", SUBMIT_LIMIT)


def _listing(place: _BenchedApi, handler: Handler, count: int) -> list[Figure]:
    items = []
    for number in range(count):
        task = {"id": f"t-{number}", "runtime": "sdruntime", "tasktype": "text-to-image", "job": new_job_id()}
        accept = commands.accept(
            Task.model_validate({"metadata": {**task, "tenant": "many"}, "content": {}}), time.time(), start_by_s=2e9
        )
        items.append({"PutRequest": {"Item": accept.parameters["Item"]}})
    for first in range(0, len(items), 25):
        place.aws.dynamodb.batch_write_item(RequestItems={"jobs": items[first : first + 25]})
    query = {
        "TableName": "jobs",
        "IndexName": TENANT_INDEX,
        "ScanIndexForward": False,
        "Limit": 101,
        "KeyConditionExpression": "tenant = :tenant",
        "ExpressionAttributeValues": {":tenant": {"S": "many"}},
    }

    def page(cursor: str | None) -> Any:
        event = _event("GET", "/v1/jobs", tenant="many", limit="100", **({"cursor": cursor} if cursor else {}))
        return json.loads(handler(event, None)["body"])

    def calls(cursor: str | None) -> None:
        start = {"ExclusiveStartKey": {"tenant": {"S": "many"}, KEY: {"S": cursor}}} if cursor else {}
        rows = place.aws.dynamodb.query(**query, **start)["Items"]
        place.aws.dynamodb.batch_get_item(RequestItems={"jobs": {"Keys": [{KEY: row[KEY]} for row in rows[:100]]}})

    pages, bare, cursor, listed = [], [], None, 0
    while listed == 0 or cursor is not None:
        bare.append(_timed_ms(partial(calls, cursor)))
        began = time.perf_counter()
        answer = page(cursor)
        pages.append((time.perf_counter() - began) * 1000)
        listed += len(answer["jobs"])
        cursor = answer["next"]
    assert listed == count, listed
    return [
        Figure("listing: a page of 100", pages, "ms"),
        Figure("listing: its calls alone, in moto", bare, "ms"),
        Figure("listing: a page without them", paired_differences(pages, bare), "ms", PAGE_LIMIT),
    ]


async def _waiting(place: _BenchedApi, waiters: int, learn_s: float) -> list[Figure]:
    """Callers who wait for jobs of their own, which then end one after the other; ``learn_s`` is how long they wait."""
    port = free_port()
    keys = place.folder / "keys.json"
    keys.write_text(json.dumps([{"key": "secret", "id": _KEY}]))
    arguments = ("api.asgi", "--port", str(port))
    process = ChildProcess(
        *arguments,
        log=place.folder / "asgi.log",
        endpoint=place.aws.url,
        **{**place.environment, "API_KEYS_FILE": str(keys)},
    )
    process.start()
    url = f"http://127.0.0.1:{port}/v1"
    try:
        wait_for(lambda: answers(f"{url}/openapi.json"), lambda: process.log)
        jobs = [place.queued() for _ in range(waiters)]
        ended: dict[str, float] = {}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers={"x-api-key": "secret"}) as http:
            waits = [asyncio.create_task(_learned(http, f"{url}/jobs/{job}?wait=300", job, ended)) for job in jobs]
            await asyncio.sleep(learn_s / 2 + waiters / 100)
            before, began = _cpu_s(process.pid), time.monotonic()
            await asyncio.sleep(learn_s)
            core = (_cpu_s(process.pid) - before) / (time.monotonic() - began) * 100
            for job in random.sample(jobs, len(jobs)):
                ended[job] = time.monotonic()
                await asyncio.to_thread(place.store.run, commands.cancel_waiting(job, CANCELLED, now_s=time.time()))
            learned = sorted([await wait for wait in waits])
    finally:
        process.kill()
    p95 = learned[int(0.95 * len(learned))]
    return [
        Figure(f"waiting: {waiters} callers, of one core", [core], "%", WAITERS_CORE_LIMIT),
        Figure("waiting: from a job's end to its caller", learned, "ms"),
        Figure("waiting: the same, 95th percentile", [p95], "ms", LEARNED_LIMIT_MS),
    ]


async def _learned(http: aiohttp.ClientSession, url: str, job: str, ended: Mapping[str, float]) -> float:
    """Milliseconds from a job's end until its caller has the answer."""
    async with http.get(url, timeout=aiohttp.ClientTimeout(total=600)) as response:
        body = await response.json()
        assert (response.status, body["state"]) == (200, "cancelled"), body
        return (time.monotonic() - ended[job]) * 1000


def _event(method: str, path: str, body: Any = None, *, tenant: str = _KEY, **query: str) -> dict[str, Any]:
    return {
        "httpMethod": method,
        "path": path,
        "headers": {"Content-Type": "application/json", "Host": "bench"},
        "queryStringParameters": query or None,
        "body": None if body is None else json.dumps(body),
        "requestContext": {"path": f"/prod{path}", "identity": {"apiKeyId": tenant}},
    }


def _in_turn(calls: int, ours: Callable[[], object], theirs: Callable[[], object]) -> list[tuple[float, float]]:
    pairs = [(_timed_ms(ours), _timed_ms(theirs)) for _ in range(calls + 20)]
    return pairs[20:]


def _ratio(name: str, pairs: list[tuple[float, float]], other: str, limit: float) -> list[Figure]:
    ours, theirs = zip(*pairs, strict=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    return [
        Figure(f"{name}: API v1", ours, "ms", digits=2),
        Figure(f"{name}: {other}", theirs, "ms", digits=2),
        Figure(f"{name}: the one by the other", [ratio], "x", limit, digits=2),
    ]


def _timed_ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def _cpu_s(pid: int) -> float:
    """Processor time of a process, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
