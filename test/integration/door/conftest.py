"""The door's own handler with real botocore clients, and moto's server behind a wire that can be disturbed."""

import importlib
import json
import sys
from types import SimpleNamespace

import botocore.session
import pytest
from botocore.loaders import Loader

from configuration.deadlines import CommonDeadlines
from jobs.job import Claim, Job
from local.sandbox import sandbox_environment
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from test.kit.rig import Rig
from test.kit.wire import Wire

CATALOG = RuntimeCatalog(
    [
        DeployedRuntime(name="sdruntime", type="sdwebui", model_filename="a.safetensors"),
        DeployedRuntime(
            name="comfy", type="comfyui", deadlines=CommonDeadlines.model_validate({"startSeconds": 600}).deadlines
        ),
    ]
)
LOADER = Loader()
"""Reads AWS's service descriptions once for all doors."""


class Door:
    """One door, as Lambda loads it."""

    def __init__(self, monkeypatch, **environment):
        self.wire = Wire()
        make_session = botocore.session.Session

        def get_session():
            session = make_session()
            session.register_component("data_loader", LOADER)
            session.register("before-send", self.wire)
            return session

        for key, value in environment.items():
            monkeypatch.setenv(key, value)
        monkeypatch.setattr(botocore.session, "get_session", get_session)
        sys.modules.pop("api.handlers", None)
        self._handler = importlib.import_module("api.handlers").handler

    def post(self, body, **options):
        """Send a request; its status and the text of its answer."""
        response = self.respond(body, **options)
        return response["statusCode"], response["body"]

    def respond(self, body, *, key=None, tenant="tenant", path="/v1alpha2"):
        event = {
            "httpMethod": "POST",
            "path": path,
            "headers": {"Content-Type": "application/json", **({} if key is None else {"Idempotency-Key": key})},
            "body": body if isinstance(body, str) else json.dumps(body),
            "requestContext": {"identity": {"apiKeyId": tenant}},
        }
        return self._handler(event, None)


class Platform(Rig):
    """A rig with any number of doors in the test's own process."""

    def __init__(self, kit, monkeypatch):
        super().__init__(kit, "sdwebui")
        self._monkeypatch = monkeypatch
        self._topic = self.aws.make_topic(f"doors-{self.name}", self.name)
        self.catalog_file.write_text(CATALOG.to_json())
        self.environment = {
            **sandbox_environment(self.aws.url),
            "TASK_TOPIC_ARN": self._topic,
            "OUTPUT_BUCKET": self.bucket,
            "RUNTIMES_FILE": str(self.catalog_file),
            "JOBS_TABLE": self.store.table,
        }

    def door(self, **environment):
        return Door(self._monkeypatch, **{**self.environment, **environment})

    @property
    def items(self):
        return self.aws.dynamodb.scan(TableName=self.store.table)["Items"]

    @property
    def jobs(self):
        """Every job in the table."""
        return [Job.from_item(item) for item in self.items if "state" in item]

    @property
    def job(self):
        """The one job in the table."""
        (job,) = self.jobs
        return job

    def messages(self):
        """Every task that was published since the last call, as its SNS envelope."""
        return [json.loads(message["Body"]) for message in self.aws.take(self.queue)]

    def published_jobs(self):
        return [json.loads(envelope["Message"])["metadata"]["job"] for envelope in self.messages()]

    def claim_job(self):
        """An agent takes the one job."""
        assert isinstance(self.claim(self.task(job=self.job.id)), Claim)


@pytest.fixture
def platform(kit, monkeypatch):
    # botocore waits before it tries again.
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    return Platform(kit, monkeypatch)
