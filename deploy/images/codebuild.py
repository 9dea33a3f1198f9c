"""Builds in CodeBuild, for machines without a container engine."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.errors import DeployError
from deploy.images.building import ImageBuild, report
from deploy.scripts import run
from deploy.stacks import Stack

_LOG_LINES = 30
_ARM_MACHINE = {
    "environmentTypeOverride": "ARM_CONTAINER",
    "imageOverride": "aws/codebuild/amazonlinux-aarch64-standard:3.0",
    "computeTypeOverride": "BUILD_GENERAL1_SMALL",
}
"""Where an image for Graviton is built, in place of the project's machine."""
_NO_BUILDS = "more than 0 "
"""CodeBuild's message if the account's quota is 0: "Cannot have more than 0 builds in queue for the account"."""


def build_in_codebuild(
    session: Any,
    stack_name: str,
    builds: Sequence[ImageBuild],
    *,
    poll_s: float = 10,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Build with the project of ``cdk.images``, which is deployed first with the current files.

    As many builds run at a time as the account allows; they are polled every ``poll_s`` seconds.

    Raises:
        DeployError: The project could not be deployed, or a build failed.
    """
    stack = Stack(session.client("cloudformation"), f"{stack_name}ImagesStack")
    run(
        [
            *("cdk", "deploy", stack.name, "--app", f"{sys.executable} -m cdk.images"),
            *("--context", f"stackName={stack_name}", "--require-approval", "never"),
            # Not in the folder of the platform's own assembly.
            *("--output", ".local/images.cdk.out"),
        ],
        environ={"AWS_REGION": session.region_name},
        remedy="Correct what the CDK reports, then run the same command again.",
    )
    project, codebuild = stack.outputs["ProjectName"], session.client("codebuild")
    began, waiting, reported = time.monotonic(), [*builds], 0
    names: dict[str, str] = {}
    shown: dict[str, str] = {}
    found: list[Mapping[str, Any]] = []
    while waiting or any(build["buildStatus"] == "IN_PROGRESS" for build in found):
        if found or reported:
            sleep(poll_s)
        while waiting and (started := _start(codebuild, project, waiting[0])) is not None:
            names[started] = waiting.pop(0).source.name
        if waiting and reported != len(waiting):
            reported = len(waiting)
            listed = ", ".join(one.source.name for one in waiting)
            report(f"{listed}: waiting until the account may run another build")
        found = codebuild.batch_get_builds(ids=list(names))["builds"] if names else []
        for build in found:
            phase = f"{build.get('currentPhase', 'QUEUED')} {build['buildStatus']}"
            if shown.get(build["id"]) != phase:
                report(f"[{time.monotonic() - began:5.0f} s] {names[build['id']]}: {phase}")
                shown[build["id"]] = phase
    if failed := [build for build in found if build["buildStatus"] != "SUCCEEDED"]:
        said = "\n".join(f"{names[build['id']]}:\n{_end_of_log(session, build)}" for build in failed)
        raise DeployError(
            f"CodeBuild could not build:\n{said}", "Correct what the log shows, then run the same command again."
        )


def _start(codebuild: Any, project: str, build: ImageBuild) -> str | None:
    """The build's id; None while the account's limit on builds is reached."""
    variables = {"DOCKERFILE": build.source.dockerfile.as_posix(), "REPOSITORY": build.address, "TAG": build.tag}
    override = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
    is_arm = build.source.platform == "linux/arm64"
    machine = _ARM_MACHINE if is_arm else {}
    try:
        started = codebuild.start_build(projectName=project, environmentVariablesOverride=override, **machine)
    except ClientError as exc:
        if error_code(exc) != "AccountLimitExceededException":
            raise
        if _NO_BUILDS in str(exc):
            raise DeployError(
                f"This account may run no builds of CodeBuild's {'ARM/Small' if is_arm else 'Linux/Large'}: {exc}",
                "Raise its quota (deploy/deploy.sh --plan has the link), or build here with"
                " `python -m deploy.images build --docker`; then run the same command again.",
            ) from exc
        return None
    return str(started["build"]["id"])


def _end_of_log(session: Any, build: Mapping[str, Any]) -> str:
    group, stream = (build.get("logs", {}).get(name) for name in ("groupName", "streamName"))
    if not group or not stream:
        return str(build["buildStatus"])
    place = {"logGroupName": group, "logStreamName": stream, "limit": _LOG_LINES, "startFromHead": False}
    events = session.client("logs").get_log_events(**place)["events"]
    return "".join(event["message"] for event in events)
