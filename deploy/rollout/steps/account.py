"""What the account must have and grant: quotas, the operator's consent, Spot's role, the CDK's bootstrap."""

from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.console import confirm, note, say
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.images import images_left_open
from deploy.rollout.steps.tools import environ
from deploy.scripts import run
from deploy.support.assessment import assess
from deploy.support.findings import Finding, Sufficiency, table_of

_EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})
_VERIFIED_REGIONS = frozenset({"us-east-1", "us-west-2", "cn-northwest-1"})
_ROLE = "AWSServiceRoleForEC2Spot"
_SERVICE = "spot.amazonaws.com"  # the same in every partition (EC2 user guide, service-linked role for Spot)
_PARAMETER = "/cdk-bootstrap/hnb659fds/version"  # where the CDK's own bootstrap template notes its version
_MIN_BOOTSTRAP = 8


def _plan_support(context: RolloutContext) -> str:
    blocking = _names(_findings(context), Sufficiency.BLOCKS)
    return f"stop: {blocking}" if blocking else "nothing stands in the way"


def _check_support(context: RolloutContext) -> str:
    findings = _findings(context)
    if blocking := _names(findings, Sufficiency.BLOCKS):
        raise DeployError(
            f"The platform cannot be deployed here: {blocking}.",
            "Follow the last column. Quotas are often granted within minutes; another region may work, too.",
        )
    short = _names(findings, Sufficiency.SHORT)
    return f"enough to begin with; short for all that may run at once: {short}" if short else "enough"


def _findings(context: RolloutContext) -> list[Finding]:
    config, region = context.config, context.account.region
    if region not in _VERIFIED_REGIONS:
        note(f"{region} is not among the verified regions {', '.join(sorted(_VERIFIED_REGIONS))}.")
    if _EVERYWHERE & set(config.cluster.public_access_cidrs):
        note(
            "the cluster's API can be reached from everywhere (0.0.0.0/0), though only those with rights get in."
            " Name your networks in cluster.publicAccessCidrs, or [] for the VPC alone (docs/security.md)."
        )
    builds, exists = len(images_left_open(config)), context.stack.status is not None
    findings = assess(context.account, config, zones=context.zones, builds=builds, exists=exists)
    say(table_of(findings))
    return findings


def _names(findings: list[Finding], verdict: Sufficiency) -> str:
    return ", ".join(finding.what for finding in findings if finding.verdict is verdict)


def _ask(context: RolloutContext) -> str:
    confirm("Go on?", assumed=context.options.yes)
    return "given"


def _plan_role(context: RolloutContext) -> str:
    return f"{_ROLE} is there" if _has_role(context.account.client("iam")) else f"create {_ROLE}"


def _create_role(context: RolloutContext) -> str:
    iam = context.account.client("iam")
    if _has_role(iam):
        return f"{_ROLE} is there"
    try:
        iam.create_service_linked_role(AWSServiceName=_SERVICE)
    except ClientError as exc:
        if "has been taken" not in str(exc):
            raise
    return f"{_ROLE} created"


def _has_role(iam: Any) -> bool:
    try:
        iam.get_role(RoleName=_ROLE)
    except ClientError as exc:
        if error_code(exc) in {"NoSuchEntity", "NoSuchEntityException"}:
            return False
        raise
    return True


def _plan_bootstrap(context: RolloutContext) -> str:
    return _bootstrapped(context) or f"cdk bootstrap {_target(context)}"


def _bootstrap(context: RolloutContext) -> str:
    if bootstrapped := _bootstrapped(context):
        return bootstrapped
    run(
        ["cdk", "bootstrap", _target(context)],
        environ=environ(context),
        remedy="Delete stack CDKToolkit if it says ROLLBACK_COMPLETE; then run the same command again.",
    )
    return _target(context)


def _bootstrapped(context: RolloutContext) -> str | None:
    try:
        version = int(context.account.client("ssm").get_parameter(Name=_PARAMETER)["Parameter"]["Value"])
    except ClientError as exc:
        if error_code(exc) == "ParameterNotFound":
            return None
        raise
    return f"version {version} is there" if version >= _MIN_BOOTSTRAP else None


def _target(context: RolloutContext) -> str:
    return f"aws://{context.account.id}/{context.account.region}"


SUPPORT = RolloutStep("Quotas and region", _plan_support, _check_support)
CONSENT = RolloutStep("Consent", lambda context: "given with --yes" if context.options.yes else "ask", _ask)
SPOT_ROLE = RolloutStep("Spot role", _plan_role, _create_role)
BOOTSTRAP = RolloutStep("CDK bootstrap", _plan_bootstrap, _bootstrap)
