"""The EBS snapshot that holds the images, so that a new node has them at once."""

from typing import Any

from botocore.exceptions import ClientError

from configuration.config import ModelsRuntime
from configuration.images import AGENT, pod_images
from deploy.aws import error_code
from deploy.console import ask, note
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import RolloutStep
from deploy.rollout.steps.images import address
from deploy.rollout.steps.tools import environ
from deploy.scripts import ROOT, output_of

_SCRIPT = ROOT / "utils" / "bottlerocket-images-cache" / "snapshot.sh"
_REMEDY = "See its output above; it removed what it had made. Run this again, or name a snapshot with -s."
_COMPLETED = "completed"
_IMAGE_TAG = "image-"


def _plan(context: RolloutContext) -> str:
    if context.kept is not None or context.options.snapshot is not None:
        return f"check {', '.join(_named(context)) or 'none: config.yaml names no snapshot'}"
    filters = [{"Name": "default-for-az", "Values": ["true"]}, {"Name": "state", "Values": ["available"]}]
    has_subnet = context.account.client("ec2").describe_subnets(Filters=filters)["Subnets"]
    where = "" if has_subnet else "; there is no default subnet: in a network of its own"
    return f"make one, unless there is one of the very same images{where}"


def _run(context: RolloutContext) -> str:
    ec2 = context.account.client("ec2")
    if context.kept is not None or context.options.snapshot is not None:
        return _check_named(ec2, context)
    images = [context.images[name] for name in (context.options.runtime_type, AGENT)]
    context.snapshot = _made_earlier(ec2, context, images)
    if context.snapshot is not None:
        return f"{context.snapshot} holds these images already"
    context.snapshot = _make(ec2, context, images)
    return f"{context.snapshot} made"


def _check_named(ec2: Any, context: RolloutContext) -> str:
    """Check the snapshots that are named; where one lacks images that pods will ask for, offer a new one."""
    snapshots = _named(context)
    for snapshot in snapshots:
        _require(ec2, snapshot)
    lacking, images = [], set()
    for runtime in context.kept.enabled_runtimes if context.kept is not None else ():
        asked = {address(context.account, image) for image in pod_images(runtime)}
        held = _held(ec2, _snapshot_of(runtime))
        for image in sorted(asked - held) if held else ():
            note(f"Snapshot {_snapshot_of(runtime)} does not hold {image}: nodes of {runtime.name} pull it first.")
        if held and not asked <= held and runtime.extra_values.karpenter.enabled:
            lacking.append(runtime.name)
            images |= asked
    if lacking:
        _offer(ec2, context, ", ".join(lacking), sorted(images))
    if not snapshots:
        return "none: new nodes pull their images first"
    context.snapshot = context.options.snapshot
    return f"{', '.join(snapshots)} is there"


def _named(context: RolloutContext) -> list[str]:
    if context.kept is None:
        return [context.options.snapshot] if context.options.snapshot else []
    runtimes = [one for one in context.kept.enabled_runtimes if one.extra_values.karpenter.enabled]
    return sorted({snapshot for one in runtimes if (snapshot := _snapshot_of(one)) is not None})


def _snapshot_of(runtime: ModelsRuntime) -> str | None:
    return runtime.extra_values.karpenter.node_template.data_volume.snapshot_id


def _offer(ec2: Any, context: RolloutContext, names: str, images: list[str]) -> None:
    """Make a snapshot of what the runtimes of those names lack, if the operator likes; say how config.yaml names it."""
    line = "extraValues.karpenter.nodeTemplate.dataVolume.snapshotID"
    made = _made_earlier(ec2, context, images)
    if made is None:
        if not ask(f"New nodes of {names} pull their images first. Make a snapshot of them now (about ten minutes)?"):
            command = " ".join(_command(context, images))
            note(f"new nodes of {names} pull their images first. To spare them that: {command}, and its ID as {line}.")
            return
        made = _make(ec2, context, images)
    note(f"{made} holds the images of {names}. Set it in config.yaml and deploy again: {line}: {made}")


def _made_earlier(ec2: Any, context: RolloutContext, images: list[str]) -> str | None:
    """The snapshot of the very same images that an earlier run has made, if it is still there."""
    earlier = context.journal.snapshot
    is_same = earlier.get("images") == images and _state(ec2, earlier["id"]) == _COMPLETED
    return str(earlier["id"]) if is_same else None


def _make(ec2: Any, context: RolloutContext, images: list[str]) -> str:
    made = output_of(_command(context, images), environ=environ(context), remedy=_REMEDY)
    _require(ec2, made)
    context.journal.remember_snapshot(made, images)
    return made


def _command(context: RolloutContext, images: list[str]) -> list[str]:
    """How one is made, by the Bottlerocket that nodes run."""
    config = context.config
    release = config.enabled_runtimes[0].extra_values.karpenter.node_template.ami_version
    ami = f"/aws/service/bottlerocket/aws-k8s-{config.cluster.version}/x86_64/{release}/image_id"
    return [str(_SCRIPT), "-r", context.account.region, "-a", ami, "-q", ",".join(images)]


def _held(ec2: Any, snapshot: str | None) -> set[str]:
    """The images in a snapshot: snapshot.sh writes them into tags; empty where it does not say."""
    if snapshot is None:
        return set()
    tags = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"][0].get("Tags", [])
    return {tag["Value"] for tag in tags if tag["Key"].startswith(_IMAGE_TAG)}


def _require(ec2: Any, snapshot: str) -> None:
    state = _state(ec2, snapshot)
    if state != _COMPLETED:
        raise DeployError(
            f"Snapshot {snapshot} is {state or 'not there'} in this region.",
            "Name one that is there and completed, or let one be made: leave out -s, or snapshotID in config.yaml.",
        )


def _state(ec2: Any, snapshot: str) -> str | None:
    try:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    except ClientError as exc:
        if error_code(exc).startswith("InvalidSnapshot"):
            return None
        raise
    return str(found[0]["State"]) if found else None


SNAPSHOT = RolloutStep("Snapshot", _plan, _run)
