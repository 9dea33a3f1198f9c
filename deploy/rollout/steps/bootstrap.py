"""What the CDK needs in an account and region."""

from typing import Any

from botocore.exceptions import ClientError

from deploy.processes import run
from deploy.refusals import error_code
from deploy.rollout.deployment import Deployment

_PARAMETER = "/cdk-bootstrap/hnb659fds/version"  # where the CDK's own bootstrap template notes its version
_NEEDED = 8


class Bootstrap:
    """The stack with the CDK's bucket and roles, which all deployments of a region share."""

    title = "CDK bootstrap"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether it would be made."""
        version = _version(deployment.account.client("ssm"))
        return f"version {version} is there" if version >= _NEEDED else f"cdk bootstrap {self._target(deployment)}"

    def run(self, deployment: Deployment) -> str:
        """Make it, or bring it up to date."""
        version = _version(deployment.account.client("ssm"))
        if version >= _NEEDED:
            return f"version {version} is there"
        run(
            ["cdk", "bootstrap", self._target(deployment)],
            environ=deployment.environ,
            remedy="Delete stack CDKToolkit if it says ROLLBACK_COMPLETE; then run the same command again.",
        )
        return self._target(deployment)

    @staticmethod
    def _target(deployment: Deployment) -> str:
        return deployment.account.bootstrap_target


def _version(ssm: Any) -> int:
    try:
        return int(ssm.get_parameter(Name=_PARAMETER)["Parameter"]["Value"])
    except ClientError as exc:
        if error_code(exc) == "ParameterNotFound":
            return 0
        raise
