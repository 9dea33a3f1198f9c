"""A stack that builds container images: a CodeBuild project, for machines without a container engine.

It is an application of its own: ``python -m cdk.images`` with context stackName, run by ``python -m deploy.images
build``.
"""

from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk import CfnOutput, Duration, IgnoreMode, RemovalPolicy, Stack
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3_assets as assets
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from cdk.context import allow
from cdk.nag import acknowledge
from configuration.images import FOLDER, IMAGES, context_files

_ROOT = Path(__file__).parent.parent
_REPOSITORIES = f"{FOLDER}/*"
_PUSH = [
    *("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
    *("ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"),
]
_TIMEOUT = Duration.hours(2)
_LAYOUT = "ocidir:///tmp/image"
_BUILD_SPEC: dict[str, Any] = {
    "version": "0.2",
    "env": {"shell": "bash"},
    "phases": {
        "install": {
            "runtime-versions": {"golang": "latest"},
            # Go checks its sum. Docker itself writes zstd only with a builder of Docker Hub's, whose limit on anonymous
            # pulls all builds of a region share.
            "commands": ["GOBIN=/usr/local/bin go install github.com/regclient/regclient/cmd/regctl@v0.11.7"],
        },
        "pre_build": {
            "commands": [
                'aws ecr get-login-password | docker login --username AWS --password-stdin "${REPOSITORY%%/*}"',
            ]
        },
        "build": {
            "on-failure": "ABORT",
            "commands": [
                'docker build --file "$DOCKERFILE" --tag "$REPOSITORY:$TAG" .',
                'docker save --output /tmp/image.tar "$REPOSITORY:$TAG"',
                f"regctl image import {_LAYOUT}:built /tmp/image.tar",
                # Docker's own type of layers has no zstd, so the types come first.
                f"regctl image mod {_LAYOUT}:built --to-oci --create oci",
                # Unpacked in a quarter of gzip's time, for which a new node waits.
                f"regctl image mod {_LAYOUT}:oci --layer-compress zstd --create zstd",
            ],
        },
        "post_build": {"commands": [f'regctl image copy {_LAYOUT}:zstd "$REPOSITORY:$TAG"']},
    },
}


class ImagesStack(Stack):
    """A project that builds one image a run: DOCKERFILE, REPOSITORY and TAG are set when it is started."""

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id, description="Builds the container images of image generation")
        exclude = ["*", *(f"!{file.as_posix()}" for file in _sources())]
        source = assets.Asset(self, "Source", path=str(_ROOT), exclude=exclude, ignore_mode=IgnoreMode.DOCKER)
        log = logs.LogGroup(self, "Log", retention=logs.RetentionDays.ONE_MONTH, removal_policy=RemovalPolicy.DESTROY)
        self.project = codebuild.Project(
            self,
            "Project",
            # CDK's own grants would be wider: every object's listing, and a log group that is not used.
            role=self._role(source, log).without_policy_updates(),
            source=codebuild.Source.s3(bucket=source.bucket, path=source.s3_object_key),
            build_spec=codebuild.BuildSpec.from_object(_BUILD_SPEC),
            environment=codebuild.BuildEnvironment(
                build_image=codebuild.LinuxBuildImage.STANDARD_7_0,
                compute_type=codebuild.ComputeType.LARGE,
                privileged=True,
            ),
            environment_variables={"DOCKER_BUILDKIT": codebuild.BuildEnvironmentVariable(value="1")},
            logging=codebuild.LoggingOptions(cloud_watch=codebuild.CloudWatchLoggingOptions(log_group=log)),
            timeout=_TIMEOUT,
        )
        acknowledge(self.project, "AwsSolutions-CB3", "Building images needs privileges; it builds ours and no other.")
        acknowledge(self.project, "AwsSolutions-CB4", "Nothing is kept: there are no artifacts, ECR has the images.")
        CfnOutput(self, "ProjectName", value=self.project.project_name)

    def _role(self, source: assets.Asset, log: logs.ILogGroup) -> iam.Role:
        role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"))
        repositories = self.format_arn(service="ecr", resource="repository", resource_name=_REPOSITORIES)
        for actions, resource in (
            (["s3:GetObject", "s3:GetObjectVersion"], source.bucket.arn_for_objects(source.s3_object_key)),
            (["s3:GetBucketLocation"], source.bucket.bucket_arn),
            (["logs:CreateLogStream", "logs:PutLogEvents"], log.log_group_arn),
            (["ecr:GetAuthorizationToken"], "*"),
            (_PUSH, repositories),
        ):
            role.add_to_policy(allow(actions, [resource]))
        acknowledge(role, "AwsSolutions-IAM5[Resource::*]", "ecr:GetAuthorizationToken takes no resource.")
        arn = f"arn:<AWS::Partition>:ecr:<AWS::Region>:<AWS::AccountId>:repository/{_REPOSITORIES}"
        acknowledge(role, f"AwsSolutions-IAM5[Resource::{arn}]", "The repositories of all images that it builds.")
        return role


def _sources() -> list[Path]:
    """What any build may see: each Dockerfile, the allow-list beside it, and what that lets through."""
    files: set[Path] = set()
    for image in IMAGES.values():
        allow_list = Path(f"{image.dockerfile}.dockerignore")
        files |= {image.dockerfile, allow_list, *context_files(_ROOT, image.dockerfile)}
    return sorted(files)


def main() -> None:
    """Synthesize the stack, checked by cdk-nag."""
    app = cdk.App()
    ImagesStack(app, f"{app.node.get_context('stackName')}ImagesStack")
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    app.synth()


if __name__ == "__main__":
    main()
