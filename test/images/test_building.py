"""``python -m deploy.images build``: what is missing in ECR is built, by CodeBuild or by an engine here."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from configuration.file import load_config
from configuration.images import IMAGES, account_registry, content_tag, pod_images
from deploy.errors import DeployError
from deploy.images.building import ImageBuild, build_missing
from deploy.images.codebuild import build_in_codebuild
from deploy.images.registry import Registry
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import images

ROOT = Path(__file__).parents[2]

# Pushing puts an image into moto's registry.
DOCKER = """
if ARGUMENTS[0] in os.environ.get("BROKEN", "none"):
    print("no space left", file=sys.stderr)
    sys.exit(1)
print("the engine's own words")
if ARGUMENTS[0] == "push":
    sys.path[:0] = json.loads(os.environ["LIBRARIES"])
    import boto3
    name, _, tag = ARGUMENTS[1].partition("/")[2].partition(":")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "name": name})
    boto3.client("ecr").put_image(repositoryName=name, imageTag=tag, imageManifest=manifest)
"""


def tag_of(name):
    return content_tag(ROOT, IMAGES[name].dockerfile)


@pytest.fixture
def build(programs, aws):
    """Runs the command with a fake engine."""
    programs.add("docker", DOCKER)

    def run(*arguments, **environ):
        return subprocess.run(
            [sys.executable, "-m", "deploy.images", "build", "--docker", *arguments],
            env=programs.environ(**aws, LIBRARIES=json.dumps(sys.path), **environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_an_engine_builds_and_pushes_what_is_missing_once_and_the_result_is_all_on_stdout(build, programs):
    ended = build("queue-agent")
    assert ended.returncode == 0, ended.stderr
    ecr = boto3.client("ecr")
    [found] = ecr.describe_images(repositoryName="sd-on-eks/queue-agent")["imageDetails"]
    assert found["imageTags"] == [tag_of("queue-agent")]
    address = ecr.describe_repositories()["repositories"][0]["repositoryUri"]
    image = {"repository": address, "tag": tag_of("queue-agent"), "digest": found["imageDigest"]}
    assert json.loads(ended.stdout) == {"queue-agent": image}
    assert "the engine's own words" in ended.stderr
    assert build("queue-agent").stdout == ended.stdout
    login, built, pushed = programs.calls
    assert [call["arguments"][0] for call in (login, built, pushed)] == ["login", "build", "push"]
    # From the root, for the nodes' platform, and with no password in a command.
    place = ["--platform", "linux/amd64", "--file", "queue_agent/Dockerfile", "--tag"]
    assert (built["arguments"][1:6], built["arguments"][-1]) == (place, ".")
    assert login["stdin"]
    assert all(login["stdin"] not in word for call in programs.calls for word in call["arguments"])


@pytest.mark.parametrize("step", ["login", "build", "push"])
def test_a_failing_engine_fails_the_command_and_prints_no_result(build, step):
    ended = build("queue-agent", BROKEN=step)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no space left" in ended.stderr


def test_a_kept_config_yaml_that_names_no_image_ends_with_those_that_the_stack_asks_for(build, monkeypatch):
    kept = load_config(ROOT / "examples" / "configs" / "everything.yaml")
    account, options = SimpleNamespace(region="eu-west-1"), SimpleNamespace(skip_tools=True)
    deployment = RolloutContext(options=options, account=account, file=None, bucket="models", kept=kept)
    monkeypatch.setattr(images, "output_of", lambda command, **_: build(*command[4:]).stdout)
    images.images.run(deployment)
    registry = account_registry(account="123456789012", region="eu-west-1", url_suffix="amazonaws.com")
    found = boto3.client("ecr").describe_images
    for runtime in kept.models_runtime:
        for image in pod_images(kept, runtime):
            asked = image.asked(registry, image.source.tag(ROOT))
            assert asked.repository == deployment.images[image.source.name].partition("@")[0]
            assert found(repositoryName=image.source.repository, imageIds=[{"imageTag": asked.tag}])["imageDetails"]


def test_an_unknown_image_is_refused_with_those_there_are(build, programs):
    ended = build("flux2")
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in IMAGES)
    assert programs.calls == []


def test_a_repository_is_made_once_with_fixed_tags_and_scanning_and_forgets_old_images(aws):
    ecr = boto3.client("ecr")
    addresses = {Registry(ecr).ensure("sd-on-eks/sdwebui") for _ in range(2)}
    (made,) = ecr.describe_repositories()["repositories"]
    assert addresses == {made["repositoryUri"]}
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="sd-on-eks/sdwebui")["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]


def test_a_build_that_pushed_nothing_is_a_failure(aws):
    with pytest.raises(DeployError, match="is not there, though"):
        build_missing([IMAGES["comfyui"]], Registry(boto3.client("ecr")), lambda builds: None)


class Builds:
    """CodeBuild with the states that a test tells it, one look after the other."""

    region_name = "eu-west-1"

    def __init__(self, *states, limit=9):
        self.states = list(states)
        self.variables, self.machines = [], []
        self.limit, self.seen = limit, []

    def client(self, name):
        return self

    def describe_stacks(self, **_):
        return {"Stacks": [{"Outputs": [{"OutputKey": "ProjectName", "OutputValue": "project"}]}]}

    def start_build(self, *, projectName, environmentVariablesOverride, **machine):  # noqa: N803 - boto3's own spelling
        self.machines.append(machine.get("environmentTypeOverride"))
        if self.seen.count("IN_PROGRESS") >= self.limit:
            message = f"Cannot have more than {self.limit} builds in queue for the account"
            raise ClientError({"Error": {"Code": "AccountLimitExceededException", "Message": message}}, "StartBuild")
        self.seen.append("IN_PROGRESS")
        self.variables.append({entry["name"]: entry["value"] for entry in environmentVariablesOverride})
        return {"build": {"id": f"build-{len(self.variables)}"}}

    def batch_get_builds(self, ids):
        self.seen = self.states.pop(0)
        build = {"currentPhase": "BUILD", "logs": {"groupName": "group", "streamName": "stream"}}
        states = zip(ids, self.seen, strict=True)
        return {"builds": [{**build, "id": id_, "buildStatus": state} for id_, state in states]}

    def get_log_events(self, **_):
        return {"events": [{"message": "pip: hash mismatch\n"}]}


@pytest.fixture
def cdk(programs, monkeypatch):
    programs.add("cdk")
    for name, value in programs.environ().items():
        monkeypatch.setenv(name, value)
    return programs


@pytest.fixture
def run(cdk):
    """Builds images by a CodeBuild; gives the seconds that were waited."""

    def run(builds, *names, sleep=None):
        waits = []
        wanted = [ImageBuild(source=IMAGES[name], address=f"registry.example/{name}", tag="1-abc") for name in names]
        build_in_codebuild(builds, "demo", wanted, poll_s=7, sleep=sleep or waits.append)
        return waits

    return run


def test_the_project_is_brought_up_to_date_and_a_build_is_told_its_dockerfile_repository_and_tag(cdk, run):
    builds = Builds(["SUCCEEDED"])
    run(builds, "comfyui")
    dockerfile = IMAGES["comfyui"].dockerfile.as_posix()
    assert builds.variables == [{"DOCKERFILE": dockerfile, "REPOSITORY": "registry.example/comfyui", "TAG": "1-abc"}]
    (deployed,) = cdk.calls
    assert deployed["arguments"][:2] == ["deploy", "demoImagesStack"]
    assert "stackName=demo" in deployed["arguments"]


def test_an_image_for_graviton_is_built_on_such_a_machine_and_for_it(run, build, programs):
    builds = Builds(["SUCCEEDED", "SUCCEEDED"])
    run(builds, "queue-agent", "queue-agent-arm64")
    assert builds.machines == [None, "ARM_CONTAINER"]
    assert build("queue-agent-arm64").returncode == 0
    (built,) = [call["arguments"] for call in programs.calls if call["arguments"][0] == "build"]
    assert built[1:5] == ["--platform", "linux/arm64", "--file", "queue_agent/Dockerfile"]


def test_builds_are_followed_until_the_last_one_ends(run, capsys):
    builds = Builds(["IN_PROGRESS", "SUCCEEDED"], ["IN_PROGRESS", "SUCCEEDED"], ["SUCCEEDED", "SUCCEEDED"])
    assert run(builds, "sdwebui", "comfyui") == [7, 7]
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.partition("] ")[2] for line in said.err.splitlines()] == [
        "sdwebui: BUILD IN_PROGRESS",
        "comfyui: BUILD SUCCEEDED",
        "sdwebui: BUILD SUCCEEDED",
    ]


def test_builds_of_others_are_waited_for(run):
    builds = Builds(["SUCCEEDED"], limit=1)
    builds.seen = ["IN_PROGRESS"]
    run(builds, "sdwebui", sleep=lambda _: builds.seen.clear())
    assert len(builds.variables) == 1


def test_an_account_that_may_run_no_build_is_told_what_helps(run):
    with pytest.raises(DeployError, match="--docker"):
        run(Builds(limit=0), "sdwebui")


def test_a_failed_build_is_named_with_the_end_of_its_log_and_others_that_wait_for_it_are_built(run, capsys):
    builds = Builds(["IN_PROGRESS"], ["FAILED"], ["FAILED", "SUCCEEDED"], limit=1)
    with pytest.raises(DeployError, match="sdwebui:\npip: hash mismatch") as failure:
        run(builds, "sdwebui", "comfyui")
    assert "comfyui" not in str(failure.value)
    assert len(builds.variables) == 2
    assert capsys.readouterr().err.count("comfyui: waiting until the account may run another build") == 1


def test_no_build_is_started_when_the_project_cannot_be_deployed(cdk, run):
    cdk.add("cdk", "sys.exit(1)")
    builds = Builds()
    with pytest.raises(DeployError):
        run(builds, "sdwebui")
    assert builds.variables == []
