"""The role by which EC2 launches Spot instances."""

from typing import Any

from botocore.exceptions import ClientError

from deploy.refusals import error_code
from deploy.rollout.deployment import Deployment

_ROLE = "AWSServiceRoleForEC2Spot"
_SERVICE = "spot.amazonaws.com"  # the same in every partition (EC2 user guide, service-linked role for Spot)


class SpotRole:
    """The service-linked role of Spot, which an account has once it has used Spot."""

    title = "Spot role"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether it would be created."""
        return f"{_ROLE} is there" if self._exists(deployment.account.client("iam")) else f"create {_ROLE}"

    def run(self, deployment: Deployment) -> str:
        """Create it, if it is not there."""
        iam = deployment.account.client("iam")
        if self._exists(iam):
            return f"{_ROLE} is there"
        try:
            iam.create_service_linked_role(AWSServiceName=_SERVICE)
        except ClientError as exc:
            if "has been taken" not in str(exc):
                raise
        return f"{_ROLE} created"

    @staticmethod
    def _exists(iam: Any) -> bool:
        try:
            iam.get_role(RoleName=_ROLE)
        except ClientError as exc:
            if error_code(exc) in {"NoSuchEntity", "NoSuchEntityException"}:
                return False
            raise
        return True
