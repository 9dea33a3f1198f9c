"""Builds in CodeBuild, for machines without a container engine."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from deploy.errors import DeployError
from deploy.images.building import Order, report
from deploy.processes import run

_LOG_LINES = 30
_ENDED_WELL = "SUCCEEDED"


def images_stack(stack_name: str) -> str:
    """Name of the CloudFormation stack with the project."""
    return f"{stack_name}ImagesStack"


class CodeBuild:
    """Builds by the project of ``cdk.images``, which is deployed first, so that it holds these files.

    Args:
        session: boto3's session.
        stack_name: ``stackName`` of config.yaml.
        environ: Environment of CDK's command line besides this process's.
        poll_s: Seconds between two looks at the builds.
        sleep: How to wait.
    """

    def __init__(
        self,
        session: Any,
        stack_name: str,
        *,
        environ: Mapping[str, str],
        poll_s: float = 10,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = session
        self._codebuild = session.client("codebuild")
        self._stack_name = stack_name
        self._environ = environ
        self._poll_s = poll_s
        self._sleep = sleep

    def build(self, orders: list[Order]) -> None:
        """Deploy the project, start a build for each image at once, and follow them.

        Raises:
            DeployError: The project could not be deployed, or a build failed.
        """
        self._deploy_project()
        project = self._project()
        names = {self._start(project, order): order.source.name for order in orders}
        failed = self._follow(names)
        if failed:
            said = "\n".join(f"{names[build['id']]}:\n{self._last_words(build)}" for build in failed)
            raise DeployError(f"CodeBuild could not build:\n{said}", "Correct what the log names, and run it again.")

    def _deploy_project(self) -> None:
        run(
            [
                *("cdk", "deploy", images_stack(self._stack_name), "--app", f"{sys.executable} -m cdk.images"),
                *("--context", f"stackName={self._stack_name}", "--require-approval", "never"),
                # Not where the platform's own assembly is.
                *("--output", ".local/images.cdk.out"),
            ],
            environ=self._environ,
            remedy="Correct what CDK names, and run it again.",
        )

    def _project(self) -> str:
        stacks = self._session.client("cloudformation").describe_stacks(StackName=images_stack(self._stack_name))
        outputs = {entry["OutputKey"]: entry["OutputValue"] for entry in stacks["Stacks"][0]["Outputs"]}
        return str(outputs["ProjectName"])

    def _start(self, project: str, order: Order) -> str:
        variables = {"DOCKERFILE": order.source.dockerfile.as_posix(), "REPOSITORY": order.address, "TAG": order.tag}
        started = self._codebuild.start_build(
            projectName=project,
            environmentVariablesOverride=[
                {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
            ],
        )
        return str(started["build"]["id"])

    def _follow(self, names: Mapping[str, str]) -> list[dict[str, Any]]:
        began = time.monotonic()
        shown: dict[str, str] = {}
        while True:
            builds = self._codebuild.batch_get_builds(ids=list(names))["builds"]
            for build in builds:
                phase = f"{build.get('currentPhase', 'QUEUED')} {build['buildStatus']}"
                if shown.get(build["id"]) != phase:
                    report(f"[{time.monotonic() - began:5.0f} s] {names[build['id']]}: {phase}")
                    shown[build["id"]] = phase
            if all(build["buildStatus"] != "IN_PROGRESS" for build in builds):
                return [build for build in builds if build["buildStatus"] != _ENDED_WELL]
            self._sleep(self._poll_s)

    def _last_words(self, build: Mapping[str, Any]) -> str:
        logs = build.get("logs", {})
        if not logs.get("groupName") or not logs.get("streamName"):
            return str(build["buildStatus"])
        events = self._session.client("logs").get_log_events(
            logGroupName=logs["groupName"], logStreamName=logs["streamName"], limit=_LOG_LINES, startFromHead=False
        )["events"]
        return "".join(event["message"] for event in events)
