"""Managed services: whether models and endpoints are there, the first call that subscribes, and a deployment of such
runtimes alone."""

import http.server
import json
import re
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from configuration.file import load_config
from configuration.icons import Icons
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.rollout.options import FIRST_MODELS
from deploy.services import bedrock, icons, sagemaker
from deploy.services.table import SERVICES
from deploy.support.finding import Sufficiency
from runtimes.bedrock.options import BedrockModel
from runtimes.registry import RUNTIME_TYPES
from runtimes.sagemaker.options import NewEndpoint, SageMakerEndpoint

MODEL = BedrockModel(id="stability.sd3-5-large-v1:0", region="us-west-2")
PROFILE = BedrockModel(id="us.stability.stable-image-inpaint-v1:0")
NOW = datetime.now(UTC)
TITLES = ("Spot role", "Model bucket", "Models", "Snapshot")
"""Steps that are for pods."""
SKIPPED = "not needed: managed runtimes alone have no pods"
DENIED = ("AccessDeniedException", 403, "not authorized to perform the required AWS Marketplace actions")
INVALID = ("ValidationException", 400, "prompt: field required")


class Bedrock(http.server.ThreadingHTTPServer):
    """Bedrock's answers: to questions about a model, and to calls of it, one after the other; the last one stays."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), BedrockHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.be()

    def be(self, *, lifecycle=None, access=("NOT_AVAILABLE", "AVAILABLE"), calls=(INVALID,), here=True, **more):
        self.lifecycle, self.access, self.calls = lifecycle or {"status": "ACTIVE"}, list(access), list(calls)
        self.here, self.more, self.asked = here, more, []


class BedrockHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        what, _, model = self.path.removeprefix("/").partition("/")
        self.server.asked.append((what, model.replace("%3A", ":")))
        if what == "foundation-models":
            if not self.server.here:
                self.answer(404, {"message": "The model is not there."}, "ResourceNotFoundException")
                return
            details = {"modelId": model, "modelArn": "arn", "modelLifecycle": self.server.lifecycle}
            self.answer(200, {"modelDetails": details})
            return
        status = self.server.access.pop(0) if len(self.server.access) > 1 else self.server.access[0]
        found = {"agreementAvailability": {"status": status}, "authorizationStatus": "AUTHORIZED"}
        self.answer(200, {**found, "regionAvailability": "AVAILABLE", **self.server.more})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path.replace("%3A", ":"), body))
        code, status, message = self.server.calls.pop(0) if len(self.server.calls) > 1 else self.server.calls[0]
        self.answer(status, {"message": message}, code)

    def answer(self, status, body, code=None):
        self.send_response(status)
        if code:
            self.send_header("x-amzn-ErrorType", code)
        content = json.dumps(body).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server_of_bedrock():
    with Bedrock() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def service(server_of_bedrock, monkeypatch):
    server_of_bedrock.be()
    for name in ("BEDROCK", "BEDROCK_RUNTIME"):
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{name}", server_of_bedrock.url)
    monkeypatch.setattr(bedrock.time, "sleep", lambda _: None)
    return server_of_bedrock


@pytest.fixture
def account(inside):
    return Account.find(None)


def day(days):
    return (NOW + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("answers", "verdict", "words"),
    [
        ({}, Sufficiency.ENOUGH, "active in us-west-2; the deployment subscribes to it"),
        ({"access": ["AVAILABLE"]}, Sufficiency.ENOUGH, "active in us-west-2$"),
        ({"lifecycle": {"status": "ACTIVE", "endOfLifeTime": day(90)}}, Sufficiency.ENOUGH, r"active until \d{4}-"),
        ({"lifecycle": {"status": "LEGACY", "endOfLifeTime": day(40)}}, Sufficiency.SHORT, r"legacy: ends on \d{4}-"),
        ({"lifecycle": {"status": "LEGACY"}}, Sufficiency.SHORT, "a day that AWS has not named"),
        ({"lifecycle": {"status": "LEGACY", "endOfLifeTime": day(-1)}}, Sufficiency.BLOCKS, r"ended on \d{4}-"),
        ({"here": False}, Sufficiency.BLOCKS, "not in us-west-2"),
        ({"regionAvailability": "NOT_AVAILABLE"}, Sufficiency.BLOCKS, "not in us-west-2"),
        ({"authorizationStatus": "NOT_AUTHORIZED"}, Sufficiency.SHORT, "active"),
    ],
)
def test_a_model_is_looked_at_before_anything_is_made(service, account, answers, verdict, words):
    service.be(**answers)
    found = bedrock.look(account, "sd35", MODEL)
    assert found.verdict is verdict
    assert re.search(words, found.have), found
    assert verdict is Sufficiency.ENOUGH or found.advice


@pytest.mark.parametrize(
    ("section", "rows"),
    [
        (None, {}),
        ({"embeddings": "ngrams"}, {}),
        ({}, {"Model of the icon library": Sufficiency.ENOUGH, "S3 Vectors": Sufficiency.ENOUGH}),
    ],
)
def test_what_the_icon_library_calls_is_looked_at_where_it_calls_anything(service, account, section, rows):
    section = None if section is None else Icons(runtime="r", **section)
    assert {row.what: row.verdict for row in icons.look(account, section)} == rows


def test_a_region_without_s3_vectors_is_named_with_a_way_out(service, account, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3VECTORS", "http://127.0.0.1:1")
    service.be(here=False)
    model, vectors = icons.look(account, Icons(runtime="r"))
    assert [model.verdict, vectors.verdict] == [Sufficiency.BLOCKS, Sufficiency.BLOCKS]
    assert "ngrams" in vectors.advice


def test_a_profiles_model_is_looked_at_by_its_own_id_in_the_deployments_region(service, account):
    assert bedrock.look(account, "edit", PROFILE).verdict is Sufficiency.ENOUGH
    assert service.asked[0] == ("foundation-models", "stability.stable-image-inpaint-v1:0")


@pytest.mark.parametrize(
    ("partition", "region", "words"),
    [
        ("aws-cn", "cn-north-1", "Amazon Bedrock has no image models in aws-cn"),
        ("aws", "eu-west-1", "Amazon Bedrock has image models in the United States alone"),
    ],
)
def test_where_bedrock_has_no_image_models_that_is_said_and_nobody_is_asked(service, partition, region, words):
    there = Account(id="1", region=region, partition_name=partition, session=None)
    found = bedrock.look(there, "edit", PROFILE)
    assert found.verdict is Sufficiency.BLOCKS
    assert words in found.advice
    assert service.asked == []


def test_the_first_call_subscribes_draws_nothing_and_is_repeated_until_the_subscription_is_there(
    service, account, capsys
):
    service.be(access=["NOT_AVAILABLE", "PENDING", "AVAILABLE"], calls=[DENIED, DENIED, INVALID])
    assert bedrock.open_access(account, MODEL) == "stability.sd3-5-large-v1:0 is subscribed to"
    calls = [body for path, body in service.asked if path.endswith("/invoke")]
    assert calls == [b"{}"] * 4  # two denied; then one while it is pending, and one before it is there
    said = capsys.readouterr().out
    assert said.count("aws-marketplace:Subscribe") == 1
    service.be(access=["AVAILABLE"])
    bedrock.open_access(account, MODEL)
    assert not [path for path, _ in service.asked if path.endswith("/invoke")]


@pytest.mark.parametrize(
    ("call", "words"),
    [(DENIED, "Bedrock denies calls"), (("ResourceNotFoundException", 404, "end of its life"), "Bedrock has no model")],
)
def test_a_call_that_stays_denied_stops_the_deployment_with_what_to_do(service, account, monkeypatch, call, words):
    monkeypatch.setattr(bedrock, "_WAIT_S", 0.0)
    service.be(calls=[call])
    with pytest.raises(DeployError, match=words) as stopped:
        bedrock.open_access(account, MODEL)
    assert "docs/managed.md" in stopped.value.remedy


def test_a_subscription_that_is_not_confirmed_in_time_is_told_and_stops_nothing(service, account, monkeypatch, capsys):
    monkeypatch.setattr(bedrock, "_WAIT_S", 0.0)
    service.be(access=["PENDING"])
    assert bedrock.open_access(account, MODEL) == "stability.sd3-5-large-v1:0 can be called"
    assert "not confirmed" in capsys.readouterr().out


def endpoints(*, status=None, output="s3://pictures/_sagemaker/"):
    """An account whose SageMaker has one endpoint, which writes somewhere or is in real time, or none."""
    from botocore.exceptions import ClientError

    def describe_endpoint(**_):
        if status is None:
            error = {"Error": {"Code": "ValidationException", "Message": "Could not find endpoint"}}
            raise ClientError(error, "DescribeEndpoint")
        asynchronous = {} if output is None else {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": output}}}
        return {"EndpointStatus": status, **asynchronous}

    client = SimpleNamespace(describe_endpoint=describe_endpoint)
    return SimpleNamespace(region="us-west-2", client=lambda service, region: client)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [("InService", Sufficiency.ENOUGH), ("Creating", Sufficiency.SHORT), (None, Sufficiency.BLOCKS)],
)
def test_an_endpoint_that_exists_must_take_requests_and_one_that_the_deployment_makes_need_not_be_there(
    status, verdict
):
    options = SageMakerEndpoint(endpoint="sd", form="other")
    assert sagemaker.look(endpoints(status=status), "sd", options).verdict is verdict
    image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/sd:7"
    made = SageMakerEndpoint(endpoint="sd", form="other", make=NewEndpoint(instanceType="ml.g6.xlarge", image=image))
    assert sagemaker.look(endpoints(), "sd", made).verdict is Sufficiency.ENOUGH


@pytest.mark.parametrize(
    ("mode", "output", "advice"),
    [
        ("async", "s3://pictures/_sagemaker", ""),
        ("async", "s3://sagemaker-us-west-2/results/", "its S3OutputPath, s3://sagemaker-us-west-2/results/, must be"),
        ("async", None, "set model.mode to realtime"),
        ("realtime", "s3://pictures/_sagemaker/", "set model.mode to async"),
        ("realtime", None, ""),
    ],
)
def test_an_endpoint_must_be_configured_as_it_is_called(mode, output, advice):
    found = sagemaker.look(
        endpoints(status="InService", output=output), "sd", SageMakerEndpoint(endpoint="sd", mode=mode)
    )
    assert found.verdict is (Sufficiency.BLOCKS if advice else Sufficiency.ENOUGH)
    assert found.advice.startswith(advice)


class TestDeployment:
    """deploy.sh -t bedrock: without bucket, model, image, snapshot and cluster."""

    @pytest.fixture
    def deploy(self, checkout, service):
        urls = {f"AWS_ENDPOINT_URL_{name}": service.url for name in ("BEDROCK", "BEDROCK_RUNTIME")}
        return lambda *arguments: checkout.run("deploy.sh", "-t", "bedrock", *arguments, **urls)

    def test_a_plan_says_what_is_not_needed_and_asks_about_the_model(self, checkout, world, deploy, service):
        ended = deploy("--plan")
        assert ended.code == 0, ended.err
        for title in TITLES:
            assert f"] {title}: {SKIPPED}" in ended.out
        assert "] Images: none is needed" in ended.out
        assert "active in us-west-2; the deployment subscribes to it" in ended.out
        assert "L-DB2E81BA" not in ended.out  # vCPUs of GPUs
        assert "Elastic IPs" not in ended.out
        assert not [path for path, _ in service.asked if path.endswith("/invoke")]
        assert not checkout.config.exists()

    def test_nothing_but_the_stack_is_made_and_the_runtime_is_verified_by_config_yaml(
        self, checkout, world, deploy, service, denied_by_policy
    ):
        service.be(access=["NOT_AVAILABLE", "NOT_AVAILABLE", "AVAILABLE"])
        ended = deploy("-T", "--yes")
        assert ended.code == 0, ended.err
        assert not any(ended.called(program) for program in ("snapshot.sh", "images", "kubectl", "helm", "aws"))
        assert len([call for call in ended.calls if call.startswith("cdk deploy")]) == 1
        assert [path for path, body in service.asked if body == b"{}"] == [
            f"/model/{FIRST_MODELS['bedrock']['id']}/invoke"
        ]
        assert ended.called("run.sh") == ["run.sh  [region=us-west-2 stack=sdoneksStack runtime=sdruntime type=]"]
        config = load_config(checkout.config)
        assert (config.has_cluster, config.model_bucket_arn) == (False, None)
        assert world.client("s3").list_buckets()["Buckets"] == []
        assert "Cluster" not in ended.out.rpartition("Endpoint")[2]
        assert not {call for call in world.asked if call.startswith(("ec2:", "ecr:", "eks:"))}
        calls = {f"bedrock:{name}" for name in ("GetFoundationModel", "GetFoundationModelAvailability", "InvokeModel")}
        assert denied_by_policy(world.asked | calls) == set()
        again = deploy("-T", "--yes")
        assert again.code == 0, again.err


def test_the_service_of_every_managed_type_is_looked_at():
    assert {one.hosting.service for one in RUNTIME_TYPES.values() if one.is_managed} == set(SERVICES)
