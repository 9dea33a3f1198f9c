"""What the icon library's function asks of AWS, against what its role grants: nothing more, and nothing less."""

import contextlib
import importlib
import io
import json
import os
import sys
import time
from unittest import mock

import pytest
from infrakit.cloud import Deployment
from infrakit.parts import TENANT, event_of
from infrakit.policies import allowed, matches
from infrakit.stacks import Synthesized, config_of, listed
from PIL import Image, ImageDraw

from contract.envelope import read_message
from contract.objects import ICONS_PREFIX
from jobs import commands
from jobs.job import JobState
from jobs.store import JobStore

ICONS = "icons"
"""Access key of the function."""
CART = {"key": "cart", "description": "购物车图标", "s3_url": "https://icons.example/cart.svg"}
UNUSED = {
    "logs:CreateLogStream": "Lambda writes the log itself",
    "logs:PutLogEvents": "Lambda writes the log itself",
    "xray:PutTraceSegments": "Lambda sends traces itself",
    "xray:PutTelemetryRecords": "Lambda sends traces itself",
}
"""Why the role grants what the function does not use here."""


class IconApi:
    """The icon library's function, with the template's environment, called by an admin."""

    def __init__(self, deployed, folder):
        catalog = folder / "runtimes.json"
        catalog.write_text(deployed.stack.config.catalog.to_json(), encoding="utf-8")
        (name,) = [
            name
            for name, one in deployed.stack.properties("AWS::Lambda::Function").items()
            if "ICONS" in one.get("Environment", {}).get("Variables", {})
        ]
        keys = json.dumps({TENANT: {"role": "admin", "queued_jobs": 1}})
        given = deployed.filled(name)["Environment"]["Variables"]
        more = {"RUNTIMES_FILE": str(catalog), "API_KEYS": keys}
        self._environment = {**deployed.environment(ICONS), **given, **more}
        self.role = deployed.stack.resources[name]["Properties"]["Role"].removeprefix("${").removesuffix(".Arn}")
        sys.modules.pop("api.handlers", None)
        with mock.patch.dict(os.environ, self._environment):
            self._handlers = importlib.import_module("api.handlers")

    def ask(self, method, path, body=None, expect=200):
        with mock.patch.dict(os.environ, self._environment):
            answer = self._handlers.handler(event_of(method, f"/v1/icons{path}", body), None)
        assert answer["statusCode"] == expect, answer
        return json.loads(answer["body"] or "null")


def draw(deployed, jobs):
    """End the one job that waits, with a picture in the bucket; gives the job."""
    (body,) = deployed.take("pictures")
    task = read_message(body, message_id="m", sent_ms=0).task
    job, now_s = task.metadata.job, time.time()
    lease = {"runtime": "pictures", "owner": "o", "token": "t", "now_s": now_s, "lease_s": 90, "start_s": 3600}
    jobs.run(commands.claim(task, job, **lease))
    image, file = Image.new("RGB", (64, 64), "white"), io.BytesIO()
    ImageDraw.Draw(image).ellipse((16, 16, 48, 48), fill="red")
    image.save(file, "PNG")
    place = {"Bucket": deployed.id_of("OutputBucket"), "Key": jobs.get(job).names.picture_key(1, "png")}
    deployed.client("s3").put_object(**place, Body=file.getvalue())
    jobs.run(commands.complete(job, "t", JobState.SUCCEEDED, now_s=now_s, attempts=1, pictures=["png"]))
    return job


@pytest.fixture(scope="module")
def deployed():
    with contextlib.closing(Deployment(Synthesized(config_of("icons")))) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def api(deployed, tmp_path_factory):
    return IconApi(deployed, tmp_path_factory.mktemp("icons"))


@pytest.fixture(scope="module")
def run(deployed, api):
    """One run of everything that the library does; gives all calls of the function."""
    jobs = JobStore(deployed.client("dynamodb"), deployed.id_of("JobsTable"))
    api.ask("POST", "/import", [CART])
    api.ask("PUT", "/door", {name: CART[name] for name in ("description", "s3_url")})
    assert api.ask("POST", "/search", {"query": "购物车"})["icons"]
    api.ask("GET", "")
    drawing = api.ask("POST", "/resolve", {"query": "a red balloon", "wait": 0}, expect=202)
    assert draw(deployed, jobs) == drawing["job"]
    drawn = api.ask("POST", "/resolve", {"query": "a red balloon", "format": "svg"})
    assert drawn["key"]
    deployed.failing = (ICONS, "sns:Publish")
    with contextlib.suppress(AssertionError):  # the job is withdrawn
        api.ask("POST", "/resolve", {"query": "a green balloon", "wait": 0})
    deployed.failing = None
    api.ask("GET", f"/{drawn['key']}")
    api.ask("GET", "/report")
    api.ask("POST", "/rebuild")
    api.ask("DELETE", "/door", expect=204)
    return frozenset(call for call in deployed.calls if call.caller == ICONS)


def test_the_role_grants_every_call_that_the_function_makes_and_else_only_what_has_a_reason(deployed, api, run):
    role = f"${{{api.role}}}"
    (statements,) = [
        deployed.filled(name)["PolicyDocument"]["Statement"]
        for name, policy in deployed.stack.properties("AWS::IAM::Policy").items()
        if role in policy["Roles"]
    ]
    policy, listing = {"Statement": statements}, {"s3:prefix": ICONS_PREFIX}
    refused = [call for call in run if not allowed(policy, call.action, call.resource, context=listing)]
    assert run
    assert refused == []
    unused = [
        (action, resource)
        for statement in statements
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
        if action not in UNUSED and not any(call.action == action and matches(call.resource, resource) for call in run)
    ]
    assert unused == []
