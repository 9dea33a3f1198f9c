"""Quotas and region."""

from deploy.console import note, say
from deploy.errors import DeployError
from deploy.rollout.asked_images import images_left_open
from deploy.rollout.deployment import Deployment
from deploy.support.assessment import Assessment
from deploy.support.findings import Finding, Verdict, table_of

_EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})
_OPEN = (
    "the cluster's API can be reached from everywhere (0.0.0.0/0), though only those with rights get in."
    " Name your networks in cluster.publicAccessCidrs, or [] for the VPC alone (docs/security.md)."
)
_VERIFIED_REGIONS = frozenset({"us-east-1", "us-west-2", "cn-northwest-1"})


class Support:
    """Whether account and region can take the platform."""

    title = "Quotas and region"

    def foresee(self, deployment: Deployment) -> str:
        """Look, and show the table."""
        blocking = [row for row in self._findings(deployment) if row.verdict is Verdict.BLOCKS]
        return f"stop: {_names(blocking)}" if blocking else "nothing stands in the way"

    def run(self, deployment: Deployment) -> str:
        """Look, show the table, and stop where it could not work."""
        findings = self._findings(deployment)
        if blocking := [row for row in findings if row.verdict is Verdict.BLOCKS]:
            raise DeployError(
                f"The platform cannot be deployed here: {_names(blocking)}.",
                "Do what the last column says. Quotas are often granted within minutes; another region may do, too.",
            )
        short = [row for row in findings if row.verdict is Verdict.SHORT]
        return f"enough to begin with; short for all that may run at once: {_names(short)}" if short else "enough"

    def _findings(self, deployment: Deployment) -> list[Finding]:
        if deployment.account.region not in _VERIFIED_REGIONS:
            verified = ", ".join(sorted(_VERIFIED_REGIONS))
            note(f"{deployment.account.region} is not among the verified regions {verified}.")
        if _EVERYWHERE & set(deployment.config.cluster.public_access_cidrs):
            note(_OPEN)
        exists = deployment.stack.status is not None
        config = deployment.config
        assessment = Assessment(
            deployment.account, config, zones=deployment.zones, builds=len(images_left_open(config)), exists=exists
        )
        findings = assessment.findings()
        say(table_of(findings))
        return findings


def _names(findings: list[Finding]) -> str:
    return ", ".join(finding.what for finding in findings)
