"""Checks what must be true of every task in the end, whatever happened before."""

import io
import json
import uuid
from collections import Counter, defaultdict

from PIL import Image

from contract.notice import Notice
from contract.objects import ResultNames, catalog_key
from queue_agent.processing import MAX_ATTEMPTS

_MAX_ATTEMPTS = 100


def check_endings(rig, *, failed=()):
    """Check that each task ended once, and that the bucket has nothing else; return the number of duplicate notices.

    Tasks in ``failed`` must have failed; all others must have exactly one set of pictures.
    """
    objects, nobodys = _objects(rig)
    silent_claims = rig.silent_claims()
    wrong, seconds = [], 0
    for task_id, pictures in list(rig.submitted.items()):
        keys = objects.pop(task_id, set())
        notices = rig.notices(task_id)
        seconds += len(notices) - 1
        faults = list(_faults(rig, notices, keys, pictures, task_id in failed))
        if notices:
            faults += _record_faults(rig, notices[0], silent_claims)
        wrong += [f"{task_id}: {words}" for words in faults]
    wrong += [f"{key} belongs to no task" for key in sorted(nobodys.union(*objects.values()))]
    wrong += [f"{notice['id']} was never submitted" for notice in rig.received if notice["id"] not in rig.submitted]
    assert not wrong, "\n".join([*wrong, rig.describe()])
    return seconds


def _faults(rig, notices, keys, pictures, must_fail):
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
    manifest = json.loads(_read(rig, names.answer_key))
    urls = [f"s3://{rig.bucket}/{key}" for key in wanted]
    if (first["image_url"], manifest["image_url"]) != (urls, urls):
        yield f"notice names {first['image_url']}, manifest {manifest['image_url']}"
    if (manifest["id"], manifest["job"], manifest["status"]) != (first["id"], first["job"], first["status"]):
        yield f"the manifest is of another job: {manifest}"
    for key in wanted:
        with Image.open(io.BytesIO(_read(rig, key))) as picture:
            picture.load()


def _record_faults(rig, notice, silent_claims):
    """Find what is wrong with the record of a notice's job.

    Each claim counts as an attempt, as a release, or as neither; ``silent_claims`` is the maximum number of the last
    kind.
    """
    record = rig.record(notice["job"])
    if record is None:
        yield "not in the jobs table"
        return
    if not record.state.is_final or not record.notified or record.due_s is not None:
        yield f"not over in the jobs table: {record}"
        return
    if record.notice(rig.bucket).to_message() != Notice.model_validate(notice).to_message():
        yield f"the jobs table has {record}, the notice says {notice}"
    # A job can fail before a model server gets it.
    silent = silent_claims + (not record.attempts)
    if not 0 <= record.claims - record.attempts - record.releases <= silent:
        yield f"at most {silent_claims} claims count as nothing; the jobs table has {record}"
    # A result may have been stored before the release; then the next agent finds the job done.
    silent_attempts = silent_claims + record.releases
    if record.attempts > MAX_ATTEMPTS or (notice["result"] and not silent_attempts and not record.attempts):
        yield f"{record.attempts} attempts"


def _objects(rig):
    """Keys of all objects that agents have stored, by task id, and of objects that belong to no task."""
    pages = rig.aws.s3.get_paginator("list_objects_v2").paginate(Bucket=rig.bucket)
    keys = {item["Key"] for page in pages for item in page.get("Contents", ())}
    keys -= {*rig.inputs, catalog_key(rig.name)}
    by_task, nobodys = defaultdict(set), set()
    for key in keys:
        prefix, _, rest = key.partition("/")
        (by_task[rest.partition("/")[0]] if prefix == "output" else nobodys).add(key)
    return by_task, nobodys


def _read(rig, key):
    return rig.aws.s3.get_object(Bucket=rig.bucket, Key=key)["Body"].read()


def generations_by_task(rig, generations):
    """How often servers started each task, by task id; SD WebUI's jobs do not reveal their task."""
    tasks = {
        str(uuid.uuid5(uuid.UUID(notice["job"]), str(attempt))): notice["id"]
        for notice in rig.received
        for attempt in range(1, _MAX_ATTEMPTS + 1)
    }
    return Counter(tasks.get(one["id"], "unknown") for one in generations)
