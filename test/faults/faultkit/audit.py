"""What must be true of every task in the end, whatever happened on the way."""

import io
import json
import uuid
from collections import Counter, defaultdict

from faultkit.records import record_faults
from PIL import Image

from contract.objects import ResultNames

_MAX_ATTEMPTS = 100


def check_endings(runtime, *, failed=(), only=None):
    """Check that each task has one ending, and nothing else lies in the bucket; returns the number of second notices.

    Tasks in ``failed`` are to have failed, all others to have exactly one set of pictures. ``only`` is a task beside
    which others are none of the caller's business.
    """
    objects, nobodys = _objects(runtime)
    silent_claims = runtime.silent_claims()
    wrong, seconds = [], 0
    for task_id, pictures in list(runtime.asked.items()):
        keys = objects.pop(task_id, set())
        if only not in (None, task_id):
            continue
        notices = runtime.notices(task_id)
        seconds += len(notices) - 1
        faults = list(_faults(runtime, notices, keys, pictures, task_id in failed))
        if notices and runtime.table:
            faults += record_faults(runtime, notices[0], silent_claims)
        wrong += [f"{task_id}: {words}" for words in faults]
    if only is None:
        wrong += [f"{key} is nobody's" for key in sorted(nobodys.union(*objects.values()))]
        wrong += [f"{notice['id']} was never asked" for notice in runtime.heard if notice["id"] not in runtime.asked]
    assert not wrong, "\n".join([*wrong, runtime.story()])
    return seconds


def _faults(runtime, notices, keys, pictures, must_fail):
    if not notices:
        yield "no notice"
        return
    first = notices[0]
    if any(notice != first for notice in notices[1:]):
        yield f"notices differ: {notices}"
        return
    if first["result"] == must_fail:
        yield f"ended as {first['status']}: {first.get('error')}"
        return
    names = ResultNames(prefix="output", task_id=first["id"], job=first["job"])
    numbers = () if must_fail else range(1, pictures + 1)
    wanted = [names.picture_key(number, "png") for number in numbers]
    if keys != {*wanted, names.answer_key}:
        yield f"objects {sorted(keys)} instead of {wanted} and {names.answer_key}"
        return
    manifest = json.loads(_read(runtime, names.answer_key))
    urls = [f"s3://{runtime.bucket}/{key}" for key in wanted]
    if (first["image_url"], manifest["image_url"]) != (urls, urls):
        yield f"notice names {first['image_url']}, manifest {manifest['image_url']}"
    if (manifest["id"], manifest["job"], manifest["status"]) != (first["id"], first["job"], first["status"]):
        yield f"the manifest is of another job: {manifest}"
    for key in wanted:
        with Image.open(io.BytesIO(_read(runtime, key))) as picture:
            picture.load()


def _objects(runtime):
    """Keys of all objects that agents have stored, by task id, and of those that are no task's."""
    pages = runtime.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=runtime.bucket)
    keys = {item["Key"] for page in pages for item in page.get("Contents", ())} - runtime.inputs
    by_task, nobodys = defaultdict(set), set()
    for key in keys:
        prefix, _, rest = key.partition("/")
        (by_task[rest.partition("/")[0]] if prefix == "output" else nobodys).add(key)
    return by_task, nobodys


def _read(runtime, key):
    return runtime.aws.s3.get_object(Bucket=runtime.bucket, Key=key)["Body"].read()


def generations_by_task(runtime, generations):
    """How often a ComfyUI began each task, by task id; SD WebUI's jobs do not tell whose they are."""
    tasks = {
        str(uuid.uuid5(uuid.UUID(notice["job"]), str(attempt))): notice["id"]
        for notice in runtime.heard
        for attempt in range(1, _MAX_ATTEMPTS + 1)
    }
    return Counter(tasks.get(one["id"], "unknown") for one in generations)
