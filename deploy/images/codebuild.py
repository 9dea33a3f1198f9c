"""Builds in CodeBuild, for machines without a container engine."""

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from deploy.errors import DeployError
from deploy.images.building import Order, report
from deploy.processes import run
from deploy.refusals import error_code

_LOG_LINES = 30
_ENDED_WELL = "SUCCEEDED"
_AT_ITS_LIMIT = "AccountLimitExceededException"
_NO_BUILDS = re.compile(r"more than 0 ")
"""What CodeBuild says where the account's quota is 0: "Cannot have more than 0 builds in queue for the account"."""


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
        """Deploy the project, start a build for each image, as many at a time as the account may, and follow them.

        Raises:
            DeployError: The project could not be deployed, or a build failed.
        """
        self._deploy_project()
        project = self._project()
        names: dict[str, str] = {}
        if failed := self._follow(project, deque(orders), names):
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

    def _start(self, project: str, order: Order) -> str | None:
        """The build's id; None while the account has as many builds as it may."""
        variables = {"DOCKERFILE": order.source.dockerfile.as_posix(), "REPOSITORY": order.address, "TAG": order.tag}
        try:
            started = self._codebuild.start_build(
                projectName=project,
                environmentVariablesOverride=[
                    {"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()
                ],
            )
        except ClientError as exc:
            if error_code(exc) != _AT_ITS_LIMIT:
                raise
            if _NO_BUILDS.search(str(exc)):
                raise DeployError(
                    f"This account may run no builds of CodeBuild's Linux/Large: {exc}",
                    "Raise its quota (deploy/deploy.sh --plan has the link), or build here with"
                    " `python -m deploy.images build --docker`; then run the same command again.",
                ) from exc
            return None
        return str(started["build"]["id"])

    def _start_those_that_may(self, project: str, waiting: deque[Order], names: dict[str, str]) -> None:
        while waiting:
            build = self._start(project, waiting[0])
            if build is None:
                return
            names[build] = waiting.popleft().source.name

    def _follow(self, project: str, waiting: deque[Order], names: dict[str, str]) -> list[dict[str, Any]]:
        """Start what waits whenever there is room; give the builds that failed.

        Args:
            project: The project's name.
            waiting: What is not started yet.
            names: The images of the builds that are started, by their ids; those that are started here are added.
        """
        began = time.monotonic()
        shown: dict[str, str] = {}
        told: list[str] = []
        while True:
            self._start_those_that_may(project, waiting, names)
            if told != (told := [order.source.name for order in waiting]) and told:
                report(f"{', '.join(told)}: waiting until the account may run another build")
            builds = self._codebuild.batch_get_builds(ids=list(names))["builds"] if names else []
            for build in builds:
                phase = f"{build.get('currentPhase', 'QUEUED')} {build['buildStatus']}"
                if shown.get(build["id"]) != phase:
                    report(f"[{time.monotonic() - began:5.0f} s] {names[build['id']]}: {phase}")
                    shown[build["id"]] = phase
            if not waiting and all(build["buildStatus"] != "IN_PROGRESS" for build in builds):
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
