"""What the account needs: quotas, the operator's consent, Spot's role, the CDK's bootstrap."""

from botocore.exceptions import ClientError

from deploy.aws import error_code
from deploy.console import confirm, note, say
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.rollout.steps.images import images_left_open
from deploy.rollout.steps.tools import environ
from deploy.scripts import run
from deploy.support.assessment import assess, table_of
from deploy.support.finding import Sufficiency

_EVERYWHERE = frozenset({"0.0.0.0/0", "::/0"})
_VERIFIED_REGIONS = frozenset({"us-east-1", "us-west-2", "cn-northwest-1"})
_ROLE = "AWSServiceRoleForEC2Spot"
_SERVICE = "spot.amazonaws.com"  # the same in every partition (EC2 user guide, service-linked role for Spot)
_PARAMETER = "/cdk-bootstrap/hnb659fds/version"  # where the CDK's own bootstrap template notes its version
_MIN_BOOTSTRAP = 8


@step("Quotas and region")
def support(context: RolloutContext) -> StepWork:
    """Show what is needed and what exists; stop if nothing could start."""
    config, region = context.config, context.account.region
    if region not in _VERIFIED_REGIONS:
        note(f"{region} is not among the verified regions {', '.join(sorted(_VERIFIED_REGIONS))}.")
    if config.has_cluster and _EVERYWHERE & set(config.cluster.public_access_cidrs):
        note(
            "the cluster's API can be reached from everywhere (0.0.0.0/0), though only those with rights get in."
            " Name your networks in cluster.publicAccessCidrs, or [] for the VPC alone (docs/security.md)."
        )
    builds = len(images_left_open(config))
    exists = context.stack.status is not None
    findings = assess(context.account, config, zones=context.zones, builds=builds, exists=exists)
    say(table_of(findings))
    blocking, short = (
        ", ".join(finding.what for finding in findings if finding.verdict is verdict)
        for verdict in (Sufficiency.BLOCKS, Sufficiency.SHORT)
    )
    yield f"stop: {blocking}" if blocking else "nothing stands in the way"
    if blocking:
        raise DeployError(
            f"The platform cannot be deployed here: {blocking}.",
            "Follow the last column. Quotas are often granted within minutes; another region may work, too.",
        )
    return f"enough to begin with; short for all that may run at once: {short}" if short else "enough"


@step("Consent")
def consent(context: RolloutContext) -> StepWork:
    """Ask before creating anything."""
    yield "given with --yes" if context.options.yes else "ask"
    confirm("Go on?", assumed=context.options.yes)
    return "given"


@step("Spot role", for_pods=True)
def spot_role(context: RolloutContext) -> StepWork:
    """Create the service-linked role that Spot instances need."""
    iam = context.account.client("iam")
    try:
        iam.get_role(RoleName=_ROLE)
    except ClientError as exc:
        if error_code(exc) not in {"NoSuchEntity", "NoSuchEntityException"}:
            raise
    else:
        return f"{_ROLE} is there"
    yield f"create {_ROLE}"
    try:
        iam.create_service_linked_role(AWSServiceName=_SERVICE)
    except ClientError as exc:
        if "has been taken" not in str(exc):
            raise
    return f"{_ROLE} created"


@step("CDK bootstrap")
def bootstrap(context: RolloutContext) -> StepWork:
    """Create the CDK's own bucket and roles."""
    try:
        version = int(context.account.client("ssm").get_parameter(Name=_PARAMETER)["Parameter"]["Value"])
    except ClientError as exc:
        if error_code(exc) != "ParameterNotFound":
            raise
        version = 0
    if version >= _MIN_BOOTSTRAP:
        return f"version {version} is there"
    target = f"aws://{context.account.id}/{context.account.region}"
    yield f"cdk bootstrap {target}"
    run(
        ["cdk", "bootstrap", target],
        environ=environ(context),
        remedy="Delete stack CDKToolkit if it says ROLLBACK_COMPLETE; then run the same command again.",
    )
    return target
