import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError

from api.door import Door
from api.errors import InvalidRequestError
from api.faces.alpha import NOWHERE
from api.lambda_events import proxy_answer, request_of
from api.operations.submission import Submissions
from api.publisher import TaskPublisher
from jobs.store import JobStore
from runtimes.catalog import DeployedRuntime, RuntimeCatalog
from runtimes.flux.options import ModelOptions

CATALOG = RuntimeCatalog(
    [
        DeployedRuntime(name="sdruntime", type="sdwebui", model_filename="v1-5-pruned-emaonly.safetensors"),
        DeployedRuntime(name="dynamic", type="sdwebui", dynamic_model=True),
        DeployedRuntime(name="comfy", type="comfyui"),
        DeployedRuntime(name="kontext", type="flux", options=ModelOptions(profile="flux-kontext")),
    ]
)


class RecordingClient:
    """Records each call; raises what a test wants."""

    def __init__(self):
        self.calls = []
        self.failure = None

    def __getattr__(self, operation):
        def call(**parameters):
            if self.failure:
                raise self.failure
            self.calls.append((operation, parameters))
            return {}

        return call


class Caller:
    """A caller of the front door, behind which AWS clients record what they are asked."""

    def __init__(self, catalog=CATALOG):
        self.sns, self.s3, self.s3_made = RecordingClient(), RecordingClient(), 0
        publisher = TaskPublisher(sns=self.sns, make_s3=self._make_s3, topic_arn="arn:topic", bucket="bucket")
        submissions = Submissions(jobs=JobStore(RecordingClient(), "jobs"), publisher=publisher)
        settings = SimpleNamespace(cors_origins="")
        services = SimpleNamespace(catalog=catalog, submissions=submissions, bucket="bucket", settings=settings)
        self._door = Door(services)

    def _make_s3(self):
        self.s3_made += 1
        return self.s3

    def send(self, body, *, path="/v1alpha2", method="POST", headers=None, key_id="key-1", **event):
        """Send a request; a body that is no string goes as JSON. Returns status and parsed answer."""
        response = self.respond(body, path=path, method=method, headers=headers, key_id=key_id, **event)
        return response["statusCode"], json.loads(response["body"])

    def respond(self, body, *, path="/v1alpha2", method="POST", headers=None, key_id="key-1", **event):
        event = {
            "httpMethod": method,
            "path": path,
            "headers": {"content-type": "application/json"} if headers is None else headers,
            "body": body if isinstance(body, str | None) else json.dumps(body),
            "requestContext": {"identity": {"apiKeyId": key_id, "apiKey": "secret"}},
            **event,
        }
        try:
            return proxy_answer(self._door.answer(request_of(event)))
        except InvalidRequestError as exc:
            return proxy_answer(NOWHERE.error(exc))

    def rejection(self, body, **options):
        """Send a request that must be rejected with 400 and reach no AWS service; its errors by field."""
        status, answer = self.send(body, **options)
        assert status == 400, answer
        assert answer["error"]["code"] == "invalid_request"
        assert answer["error"]["message"]
        assert self.sns.calls == self.s3.calls == []
        return {detail["field"]: detail["problem"] for detail in answer["error"]["details"]}

    @property
    def published(self):
        """The one message that reached the topic."""
        ((operation, parameters),) = self.sns.calls
        assert operation == "publish"
        return parameters

    def break_sns(self):
        self.sns.failure = EndpointConnectionError(endpoint_url="https://sns")


@pytest.fixture
def door():
    return Caller()


@pytest.fixture(scope="session")
def make_door():
    return Caller
