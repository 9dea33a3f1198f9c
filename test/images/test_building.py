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
from deploy.images.codebuild import CodeBuild
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


def push(ecr, name, tag):
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "name": name}
    ecr.put_image(repositoryName=f"sd-on-eks/{name}", imageTag=tag, imageManifest=json.dumps(manifest))


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


def test_an_engine_builds_and_pushes_what_is_missing_and_the_result_is_all_on_stdout(build, programs):
    ended = build("queue-agent")
    assert ended.returncode == 0, ended.stderr
    (image,) = json.loads(ended.stdout).items()
    found = boto3.client("ecr").describe_images(repositoryName="sd-on-eks/queue-agent")["imageDetails"][0]
    assert image == (
        "queue-agent",
        {
            "repository": boto3.client("ecr").describe_repositories()["repositories"][0]["repositoryUri"],
            "tag": tag_of("queue-agent"),
            "digest": found["imageDigest"],
        },
    )
    assert found["imageTags"] == [tag_of("queue-agent")]
    assert [call["arguments"][0] for call in programs.calls] == ["login", "build", "push"]
    assert "the engine's own words" in ended.stderr


def test_an_engine_builds_from_the_root_for_the_nodes_platform(build, programs):
    build("queue-agent")
    arguments = programs.calls[1]["arguments"]
    assert arguments[-1] == "."
    assert arguments[arguments.index("--file") + 1] == "queue_agent/Dockerfile"
    assert arguments[arguments.index("--platform") + 1] == "linux/amd64"


def test_the_registrys_password_is_in_no_command_line(build, programs):
    build("queue-agent")
    password = programs.calls[0]["stdin"]
    assert password
    assert all(password not in word for call in programs.calls for word in call["arguments"])


def test_an_image_that_is_there_is_not_built_again(build, programs):
    first = build("queue-agent")
    again = build("queue-agent")
    assert again.stdout == first.stdout
    assert [call["arguments"][0] for call in programs.calls] == ["login", "build", "push"]


@pytest.mark.parametrize("step", ["login", "build", "push"])
def test_a_failing_engine_fails_the_command_and_prints_no_result(build, step):
    ended = build("queue-agent", BROKEN=step)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "no space left" in ended.stderr


def test_a_kept_config_yaml_that_names_no_image_ends_with_those_that_the_stack_asks_for(build, monkeypatch):
    kept = load_config(ROOT / "examples" / "configs" / "everything.yaml")
    account, options = SimpleNamespace(region="eu-west-1"), SimpleNamespace(skip_tools=True)
    deployment = RolloutContext(options=options, account=account, file=None, journal=None, bucket="models", kept=kept)
    monkeypatch.setattr(images, "output_of", lambda command, **_: build(*command[4:]).stdout)
    images.IMAGES.run(deployment)
    registry = account_registry(account="123456789012", region="eu-west-1", url_suffix="amazonaws.com")
    found = boto3.client("ecr").describe_images
    for runtime in kept.models_runtime:
        for image in pod_images(runtime):
            asked = image.asked(registry, image.source.tag(ROOT))
            assert asked.repository == deployment.images[image.source.name].partition("@")[0]
            assert found(repositoryName=image.source.repository, imageIds=[{"imageTag": asked.tag}])["imageDetails"]


def test_an_unknown_image_is_refused_with_those_there_are(build, programs):
    ended = build("flux2")
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in IMAGES)
    assert programs.calls == []


def test_a_repository_is_made_once_with_fixed_tags_and_scanning(aws):
    ecr = boto3.client("ecr")
    repositories = Registry(ecr)
    addresses = {repositories.ensure("sd-on-eks/sdwebui") for _ in range(2)}
    (made,) = ecr.describe_repositories()["repositories"]
    assert addresses == {made["repositoryUri"]}
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}


def test_a_repository_forgets_old_images(aws):
    ecr = boto3.client("ecr")
    Registry(ecr).ensure("sd-on-eks/sdwebui")
    policy = json.loads(ecr.get_lifecycle_policy(repositoryName="sd-on-eks/sdwebui")["lifecyclePolicyText"])
    assert [rule["selection"]["tagStatus"] for rule in policy["rules"]] == ["untagged", "any"]


def test_a_build_that_pushed_nothing_is_a_failure(aws):
    with pytest.raises(DeployError, match="is not there, though"):
        build_missing([IMAGES["comfyui"]], Registry(boto3.client("ecr")), lambda builds: None)


@pytest.fixture
def project(aws):
    """The stack of cdk.images as moto holds it: its output and the project."""
    boto3.client("cloudformation").create_stack(
        StackName="demoImagesStack",
        TemplateBody=json.dumps(
            {
                "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
                "Outputs": {"ProjectName": {"Value": "demo-images"}},
            }
        ),
    )
    boto3.client("codebuild").create_project(
        name="demo-images",
        source={"type": "S3", "location": "bucket/key"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_LARGE",
        },
        serviceRole="arn:aws:iam::123456789012:role/service-role/build",
    )


@pytest.fixture
def cdk(programs, monkeypatch):
    programs.add("cdk")
    for name, value in programs.environ().items():
        monkeypatch.setenv(name, value)
    return programs


def order(name):
    return ImageBuild(source=IMAGES[name], address=f"registry.example/sd-on-eks/{name}", tag="1-abc")


def test_codebuild_is_given_each_image_after_its_project_is_up_to_date(project, cdk):
    CodeBuild(boto3.Session(), "demo", environ={}, poll_s=0).build([order("queue-agent"), order("sdwebui")])
    (deployed,) = cdk.calls
    assert deployed["arguments"][:2] == ["deploy", "demoImagesStack"]
    assert "stackName=demo" in deployed["arguments"]
    client = boto3.client("codebuild")
    builds = client.batch_get_builds(ids=client.list_builds_for_project(projectName="demo-images")["ids"])["builds"]
    assert len(builds) == 2


class Builds:
    """CodeBuild with the states that a test tells it, one look after the other."""

    def __init__(self, *states, most=9):
        self.states = list(states)
        self.variables = []
        self.most, self.seen = most, []

    def client(self, name):
        return self

    def describe_stacks(self, **_):
        return {"Stacks": [{"Outputs": [{"OutputKey": "ProjectName", "OutputValue": "project"}]}]}

    def start_build(self, **order):
        running = sum(state == "IN_PROGRESS" for state in self.seen)
        if running >= self.most:
            message = f"Cannot have more than {self.most} builds in queue for the account"
            error = {"Code": "AccountLimitExceededException", "Message": message}
            raise ClientError({"Error": error}, "StartBuild")
        self.seen.append("IN_PROGRESS")
        self.variables.append({entry["name"]: entry["value"] for entry in order["environmentVariablesOverride"]})
        return {"build": {"id": f"build-{len(self.variables)}"}}

    def batch_get_builds(self, ids):
        self.seen = list(states := self.states.pop(0))
        logs = {"groupName": "group", "streamName": "stream"}
        return {
            "builds": [
                {"id": build, "buildStatus": state, "currentPhase": "BUILD", "logs": logs}
                for build, state in zip(ids, states, strict=True)
            ]
        }

    def get_log_events(self, **_):
        return {"events": [{"message": "pip: hash mismatch\n"}]}


def test_a_build_is_told_its_dockerfile_repository_and_tag(cdk):
    builds = Builds(["SUCCEEDED"])
    CodeBuild(builds, "demo", environ={}, poll_s=0).build([order("comfyui")])
    repository = "registry.example/sd-on-eks/comfyui"
    assert builds.variables == [
        {"DOCKERFILE": "runtimes/comfyui/image/Dockerfile", "REPOSITORY": repository, "TAG": "1-abc"}
    ]


def test_builds_are_followed_until_the_last_one_ends(cdk, capsys):
    builds = Builds(["IN_PROGRESS", "SUCCEEDED"], ["IN_PROGRESS", "SUCCEEDED"], ["SUCCEEDED", "SUCCEEDED"])
    waits = []
    codebuild = CodeBuild(builds, "demo", environ={}, poll_s=7, sleep=waits.append)
    codebuild.build([order("sdwebui"), order("comfyui")])
    assert waits == [7, 7]
    said = capsys.readouterr()
    assert said.out == ""
    assert [line.partition("] ")[2] for line in said.err.splitlines()] == [
        "sdwebui: BUILD IN_PROGRESS",
        "comfyui: BUILD SUCCEEDED",
        "sdwebui: BUILD SUCCEEDED",
    ]


def test_a_build_that_the_account_may_not_run_yet_starts_when_another_one_ends(cdk, capsys):
    builds = Builds(["IN_PROGRESS"], ["SUCCEEDED"], ["SUCCEEDED", "IN_PROGRESS"], ["SUCCEEDED", "SUCCEEDED"], most=1)
    CodeBuild(builds, "demo", environ={}, poll_s=0).build([order("sdwebui"), order("comfyui")])
    assert [one["DOCKERFILE"] for one in builds.variables] == [
        "runtimes/sdwebui/image/Dockerfile",
        "runtimes/comfyui/image/Dockerfile",
    ]
    assert capsys.readouterr().err.count("comfyui: waiting until the account may run another build") == 1


def test_a_failed_build_leaves_those_that_wait_for_it_their_turn(cdk):
    builds = Builds(["FAILED"], ["FAILED", "SUCCEEDED"], most=1)
    with pytest.raises(DeployError, match="sdwebui:\n"):
        CodeBuild(builds, "demo", environ={}, poll_s=0).build([order("sdwebui"), order("comfyui")])
    assert len(builds.variables) == 2


def test_builds_of_others_are_waited_for(cdk):
    builds = Builds(["SUCCEEDED"], most=0)
    builds.most, builds.seen = 1, ["IN_PROGRESS"]
    CodeBuild(builds, "demo", environ={}, poll_s=0, sleep=lambda _: builds.seen.clear()).build([order("sdwebui")])
    assert len(builds.variables) == 1


def test_an_account_that_may_run_no_build_is_told_what_helps(cdk):
    with pytest.raises(DeployError, match="--docker"):
        CodeBuild(Builds(most=0), "demo", environ={}, poll_s=0).build([order("sdwebui")])


def test_a_failed_build_is_named_with_the_end_of_its_log(cdk):
    codebuild = CodeBuild(Builds(["SUCCEEDED", "FAILED"]), "demo", environ={}, poll_s=0)
    with pytest.raises(DeployError, match="comfyui:\npip: hash mismatch") as failure:
        codebuild.build([order("sdwebui"), order("comfyui")])
    assert "sdwebui" not in str(failure.value)


def test_no_build_is_started_when_the_project_cannot_be_deployed(programs, cdk):
    programs.add("cdk", "sys.exit(1)")
    builds = Builds()
    with pytest.raises(DeployError):
        CodeBuild(builds, "demo", environ={}, poll_s=0).build([order("sdwebui")])
    assert builds.variables == []
