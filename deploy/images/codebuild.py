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
_NO_BUILDS = "more than 0 "
"""CodeBuild's words where the account's quota is 0: "Cannot have more than 0 builds in queue for the account"."""


class CodeBuild:
    """Builds by the project of ``cdk.images``, which is deployed first, so that it holds these files.

    It looks every ``poll_s`` seconds at the builds of boto3's session, and sleeps in between.
    """

    def __init__(
        self, session: Any, stack_name: str, *, poll_s: float = 10, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._session = session
        self._codebuild = session.client("codebuild")
        self._stack_name = stack_name
        self._poll_s = poll_s
        self._sleep = sleep

    def build(self, builds: Sequence[ImageBuild]) -> None:
        """Deploy the project, start as many builds at a time as the account may run, and follow them.

        Raises:
            DeployError: The project could not be deployed, or a build failed.
        """
        stack = Stack(self._session.client("cloudformation"), f"{self._stack_name}ImagesStack")
        run(
            [
                *("cdk", "deploy", stack.name, "--app", f"{sys.executable} -m cdk.images"),
                *("--context", f"stackName={self._stack_name}", "--require-approval", "never"),
                # Not where the platform's own assembly is.
                *("--output", ".local/images.cdk.out"),
            ],
            environ={"AWS_REGION": self._session.region_name},
            remedy="Correct what the CDK reports, then run the same command again.",
        )
        if failures := self._follow(stack.outputs["ProjectName"], [*builds]):
            said = "\n".join(failures)
            raise DeployError(
                f"CodeBuild could not build:\n{said}", "Correct what the log shows, then run the same command again."
            )

    def _follow(self, project: str, waiting: list[ImageBuild]) -> list[str]:
        """Start what waits whenever there is room; return the name and the log's end of each build that failed."""
        began = time.monotonic()
        names: dict[str, str] = {}
        shown: dict[str, str] = {}
        reported = 0
        while True:
            while waiting and (started := self._start(project, waiting[0])) is not None:
                names[started] = waiting.pop(0).source.name
            if waiting and reported != len(waiting):
                reported = len(waiting)
                listed = ", ".join(one.source.name for one in waiting)
                report(f"{listed}: waiting until the account may run another build")
            builds = self._codebuild.batch_get_builds(ids=list(names))["builds"] if names else []
            for build in builds:
                phase = f"{build.get('currentPhase', 'QUEUED')} {build['buildStatus']}"
                if shown.get(build["id"]) != phase:
                    report(f"[{time.monotonic() - began:5.0f} s] {names[build['id']]}: {phase}")
                    shown[build["id"]] = phase
            if not waiting and all(build["buildStatus"] != "IN_PROGRESS" for build in builds):
                failed = [build for build in builds if build["buildStatus"] != "SUCCEEDED"]
                return [f"{names[build['id']]}:\n{self._end_of_log(build)}" for build in failed]
            self._sleep(self._poll_s)

    def _start(self, project: str, build: ImageBuild) -> str | None:
        """The build's id; None while the account runs as many builds as it may."""
        variables = {"DOCKERFILE": build.source.dockerfile.as_posix(), "REPOSITORY": build.address, "TAG": build.tag}
        override = [{"name": name, "value": value, "type": "PLAINTEXT"} for name, value in variables.items()]
        try:
            started = self._codebuild.start_build(projectName=project, environmentVariablesOverride=override)
        except ClientError as exc:
            if error_code(exc) != "AccountLimitExceededException":
                raise
            if _NO_BUILDS in str(exc):
                raise DeployError(
                    f"This account may run no builds of CodeBuild's Linux/Large: {exc}",
                    "Raise its quota (deploy/deploy.sh --plan has the link), or build here with"
                    " `python -m deploy.images build --docker`; then run the same command again.",
                ) from exc
            return None
        return str(started["build"]["id"])

    def _end_of_log(self, build: Mapping[str, Any]) -> str:
        group, stream = (build.get("logs", {}).get(name) for name in ("groupName", "streamName"))
        if not group or not stream:
            return str(build["buildStatus"])
        place = {"logGroupName": group, "logStreamName": stream, "limit": _LOG_LINES, "startFromHead": False}
        events = self._session.client("logs").get_log_events(**place)["events"]
        return "".join(event["message"] for event in events)
