"""The scripts of deploy/ as real processes: in a checkout of their own, with fake tools, against moto's server."""

import hashlib
import http.server
import json
import logging
import os
import random
import re
import shutil
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from moto.cloudformation.models import cloudformation_backends
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.iam import models as iam_models
from moto.iam.access_control import PermissionResult
from moto.moto_api._internal import moto_api_backend
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import FakeBucket
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from deploy import aws
from deploy.rollout.context import open_context
from deploy.rollout.options import parse_options

ROOT = Path(__file__).resolve().parents[2]
FAKES = Path(__file__).parent / "fakes"
ACCOUNT, REGION = "123456789012", "us-west-2"
MODEL = random.Random(4).randbytes(3 << 20)
IMAGES = {
    name: {"repository": f"registry.example/sd-on-eks/{name}", "digest": "sha256:" + "a" * 64}
    for name in ("queue-agent", "queue-agent-arm64", "sdwebui", "comfyui", "flux")
}
OPERATOR = "operator"
"""The access key of the person who runs the scripts."""
QUOTAS = {"GetServiceQuota", "GetAWSDefaultServiceQuota", "ListServiceQuotas"}
"""What moto cannot answer; deployments go on without."""
SNAPSHOT_SCRIPT = "utils/bottlerocket-images-cache/snapshot.sh"
make_session = boto3.Session


class Denied(ServiceException):
    code = "AccessDenied"


@cache
def session_of(region):
    """One for all tests: a new one would read the services' models again."""
    return make_session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)


class World:
    """AWS as the scripts find it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.reset()

    def reset(self):
        """Forget everything; nothing is denied."""
        moto_api_backend.reset()
        self.asked = set()
        """What the scripts have asked of AWS since then, as sqs:GetQueueAttributes."""
        self.denied = set(QUOTAS)
        self.bucket_owners = {}

    def client(self, service, region=REGION):
        return session_of(region).client(service, endpoint_url=self.endpoint)

    def snapshot(self, *images, **tags):
        """A snapshot; with images, as snapshot.sh makes it."""
        ec2 = self.client("ec2")
        volume = ec2.create_volume(Size=1, AvailabilityZone=f"{REGION}a")["VolumeId"]
        snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
        if images:
            tags = {f"image-{number}": image for number, image in enumerate(images, start=1)}
            tags["made-by"] = "bottlerocket-images-cache"
        if tags:
            ec2.create_tags(Resources=[snapshot], Tags=[{"Key": key, "Value": value} for key, value in tags.items()])
        return snapshot

    def bucket(self, name, region=REGION):
        self.client("s3", region).create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})
        return name

    def model(self, bucket, key, body=MODEL):
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body)

    def queue(self, name, messages=0):
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        for number in range(messages):
            sqs.send_message(QueueUrl=url, MessageBody=str(number))

    def stack(self, resources=None, outputs=None, name="sdoneksStack"):
        """Make a stack; what moto holds of it, so that a test can change its state."""
        outputs = {key: {"Value": value} for key, value in (outputs or {}).items()}
        template = {"Resources": resources or {"Topic": {"Type": "AWS::SNS::Topic"}}, "Outputs": outputs}
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"]
        )
        return cloudformation_backends[ACCOUNT][REGION].get_stack(name)


@pytest.fixture(scope="session")
def server():
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")  # thousands after each reset; nobody asks
        world = World(f"http://{host}:{port}")
        watch_moto(patch, world)
        yield world
    server.stop()


@pytest.fixture
def world(server):
    server.reset()
    return server


def watch_moto(patch, world):
    """Note what the operator asks, and refuse what a test denies; add what moto lacks."""
    call_action, authorize = BaseResponse.call_action, S3Response._authenticate_and_authorize_s3_action

    def note(response, action):
        if f"Credential={OPERATOR}/" in response.headers.get("Authorization", ""):
            world.asked.add(f"{response.service_name}:{action}")

    def watched_call_action(self):
        note(self, self._get_action())
        if self._get_action() in world.denied:
            return self.serialized(ActionResult(Denied("not authorized")))
        return call_action(self)

    def watched_authorize(self, **arguments):
        note(self, self.data["Action"])
        expected = self.headers.get("x-amz-expected-bucket-owner")
        if expected not in {None, world.bucket_owners.get(arguments.get("bucket_name"), ACCOUNT)}:
            raise S3AccessDeniedError
        return authorize(self, **arguments)

    patch.setattr(BaseResponse, "call_action", watched_call_action)
    patch.setattr(S3Response, "_authenticate_and_authorize_s3_action", watched_authorize)
    # Its server speaks plain HTTP, which the model bucket's policy forbids.
    patch.setattr(FakeBucket, "get_permission", lambda *arguments: PermissionResult.PERMITTED)
    patch.setitem(iam_models.SERVICE_NAME_CONVERSION, "spot", "EC2Spot")


class ModelServer(http.server.ThreadingHTTPServer):
    """Serves a file, by ranges where it may, and cuts connections where a test wants it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ModelHandler)
        self.url = f"http://127.0.0.1:{self.server_port}/model.safetensors"
        self.be()

    def be(self, *, body=MODEL, cuts=(), ranges=True, status=None, disposition=None):
        self.body, self.cuts, self.ranges, self.status = body, list(cuts), ranges, status
        self.disposition, self.asked = disposition, []


class ModelHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        if server.status is not None:
            self.send_error(server.status)
            return
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        start, end = (int(first), int(last or len(server.body) - 1)) if server.ranges else (0, len(server.body) - 1)
        part = server.body[start : end + 1]
        self.send_response(206 if asked and server.ranges else 200)
        self.send_header("Content-Length", str(len(part)))
        if asked and server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{end}/{len(server.body)}")
        if server.disposition:
            self.send_header("Content-Disposition", server.disposition)
        self.send_header("ETag", hashlib.md5(server.body).hexdigest())
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts and not last else len(part)
        self.wfile.write(part[:cut])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="session")
def model_server():
    with ModelServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def models(model_server):
    model_server.be()
    return model_server


class Checkout:
    """A copy of the repository as far as the scripts reach, with fakes in place of what they start."""

    def __init__(self, root, world, models):
        self.root, self.world = root, world
        self.calls, self.config = root / "calls", root / "config.yaml"
        for folder in ("bin", "fail", "answers", "home", ".venv/bin", "test", "utils/bottlerocket-images-cache"):
            (root / folder).mkdir(parents=True)
        for folder in ("contract", "jobs", "configuration", "runtimes", "planning", "scaler"):
            shutil.copytree(ROOT / folder, root / folder)
        shutil.copytree(ROOT / "deploy", root / "deploy", ignore=shutil.ignore_patterns("images"))
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ROOT / name, root / name)
        (root / "Makefile").write_text(".venv/stamps/%:\n\t@echo make $@ >>calls\n")
        python = root / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        shutil.copy(FAKES / "cdk", root / "bin" / "cdk")
        images = root / "deploy" / "images"
        images.mkdir()
        for place in ("bin/aws", "bin/kubectl", "bin/helm", "test/run.sh", SNAPSHOT_SCRIPT, "deploy/images/images"):
            shutil.copy(FAKES / "tool", root / place)
        tool = str(images / "images")
        (images / "__main__.py").write_text(f"import os, sys\nos.execv({tool!r}, [{tool!r}, *sys.argv[1:]])\n")
        self.answer("images", json.dumps(IMAGES))
        module = root / "deploy" / "rollout" / "first_runtime.py"
        text = re.sub(r"(?m)^DEFAULT_URL = .*$", f"DEFAULT_URL = {models.url!r}", module.read_text())
        checksum = hashlib.sha256(MODEL).hexdigest()
        module.write_text(re.sub(r"(?m)^DEFAULT_SHA256 = .*$", f"DEFAULT_SHA256 = {checksum!r}", text))
        self.calls.touch()

    def answer(self, program, text):
        """What a fake prints."""
        (self.root / "answers" / program).write_text(text)

    def break_(self, program):
        (self.root / "fail" / program).touch()

    def mend(self):
        for file in (self.root / "fail").iterdir():
            file.unlink()

    def run(self, script, *arguments, **environ):
        """Run a script of deploy/ from another folder, as operators do."""
        self.calls.write_text("")
        ended = subprocess.run(
            [self.root / "deploy" / script, *arguments],
            cwd=self.root / "deploy",
            env={**self.environ, **environ},
            input="",
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        calls = self.calls.read_text().splitlines()
        return SimpleNamespace(
            code=ended.returncode,
            out=ended.stdout,
            err=ended.stderr,
            calls=calls,
            called=lambda program: [call for call in calls if call.split()[0] == program],
        )

    @property
    def environ(self):
        path = os.pathsep.join([str(self.root / "bin"), str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return {
            "PATH": path,
            "HOME": str(self.root / "home"),
            "AWS_ENDPOINT_URL": self.world.endpoint,
            "AWS_ACCESS_KEY_ID": OPERATOR,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
        }


@pytest.fixture(scope="session")
def make_checkout():
    return Checkout


@pytest.fixture
def checkout(tmp_path, world, models):
    return Checkout(tmp_path, world, models)


@pytest.fixture
def inside(checkout, monkeypatch):
    """This process as a script of the checkout would be: its AWS, its tools."""
    for name, value in checkout.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(aws.boto3, "Session", lambda region_name: session_of(region_name or REGION))
    return checkout


@pytest.fixture
def deployment(inside):
    """Opens a deployment in this process, so that a test can run a single step."""
    return lambda *arguments: open_context(parse_options(["--yes", "-T", *arguments]), inside.root)


@pytest.fixture(scope="session")
def denied_by_policy():
    """Which of some calls the published policy does not allow."""
    policy = json.loads((ROOT / "deploy" / "policies" / "deployer.json").read_text(encoding="utf-8"))
    granted = {action for statement in policy["Statement"] for action in statement["Action"]}
    # Quotas have another name in policies; a bucket is looked at with the right to list it (S3's guide).
    names = {"service-quotas": "servicequotas", "HeadBucket": "ListBucket"}

    def denied(calls):
        return {":".join(names.get(part, part) for part in call.split(":")) for call in calls} - granted

    return denied
