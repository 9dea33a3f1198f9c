"""The EBS snapshot that holds the images, so that a new node has them at once."""

from typing import Any

from botocore.exceptions import ClientError

from configuration.config import Config, ModelsRuntime
from configuration.images import AGENT, pod_images
from deploy.aws import error_code
from deploy.console import ask, note
from deploy.errors import DeployError
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import StepWork, step
from deploy.rollout.steps.images import address
from deploy.rollout.steps.tools import environ
from deploy.scripts import ROOT, output_of
from deploy.snapshots import images_in, made_snapshots

_SCRIPT = ROOT / "utils" / "bottlerocket-images-cache" / "snapshot.sh"
_REMEDY = "See its output above; it removed what it had made. Run this again, or name a snapshot with -s."
_KEY = "extraValues.karpenter.nodeTemplate.dataVolume.snapshotID"


@step("Snapshot", for_pods=True)
def snapshot(context: RolloutContext) -> StepWork:
    """Make a snapshot for a new config.yaml; check those that an existing one names."""
    ec2 = context.account.client("ec2")
    if not context.makes_snapshot:
        names = _named(context)
        yield f"check {', '.join(names) or 'none: config.yaml names no snapshot'}"
        for name in names:
            _require(ec2, name)
        if context.kept is not None:
            _offer_what_lacks(ec2, context, _on_nodes(context.kept))
        return f"{', '.join(names)} is there" if names else "none: new nodes pull their images first (-s new makes one)"
    filters = [{"Name": "default-for-az", "Values": ["true"]}, {"Name": "state", "Values": ["available"]}]
    has_subnet = ec2.describe_subnets(Filters=filters)["Subnets"]
    where = "" if has_subnet else "; there is no default subnet: in a network of its own"
    yield f"make one, unless there is one with these images{where}"
    images = [context.images[name] for name in (context.options.runtime_type, AGENT)]
    context.snapshot = _made_earlier(ec2, images)
    if context.snapshot is not None:
        return f"{context.snapshot} holds these images already"
    context.snapshot = _make(ec2, context, images)
    return f"{context.snapshot} made"


def _named(context: RolloutContext) -> list[str]:
    if context.kept is None:
        return [context.snapshot] if context.snapshot else []
    return sorted({name for one in _on_nodes(context.kept) if (name := _snapshot_of(one)) is not None})


def _on_nodes(config: Config) -> list[ModelsRuntime]:
    """The runtimes with nodes of their own, which a snapshot can fill."""
    return [one for one in config.enabled_runtimes if one.extra_values.karpenter.enabled and not one.is_managed]


def _snapshot_of(runtime: ModelsRuntime) -> str | None:
    return runtime.extra_values.karpenter.node_template.data_volume.snapshot_id


def _offer_what_lacks(ec2: Any, context: RolloutContext, runtimes: list[ModelsRuntime]) -> None:
    """Offer a new snapshot if one lacks images that pods will use; say how to name it in config.yaml."""
    lacking, wanted = [], set()
    for runtime in runtimes:
        name = _snapshot_of(runtime)
        held = images_in(_described(ec2, name) or {}) if name else set()
        asked = {address(context.account, image) for image in pod_images(context.config, runtime)}
        for image in sorted(asked - held) if held else ():
            note(f"Snapshot {name} does not hold {image}: nodes of {runtime.name} pull it first.")
        if held and not asked <= held:
            lacking.append(runtime.name)
            wanted |= asked
    if not lacking:
        return
    names, images = ", ".join(lacking), sorted(wanted)
    made = _made_earlier(ec2, images)
    if made is None:
        if not ask(f"New nodes of {names} pull their images first. Make a snapshot of them now (about ten minutes)?"):
            command = " ".join(_command(context, images))
            note(f"new nodes of {names} pull their images first. To spare them that: {command}, and its ID as {_KEY}.")
            return
        made = _make(ec2, context, images)
    note(f"{made} holds the images of {names}. Set it in config.yaml and deploy again: {_KEY}: {made}")


def _made_earlier(ec2: Any, images: list[str]) -> str | None:
    """A snapshot with these images, whatever else it holds."""
    same = (one["SnapshotId"] for one in made_snapshots(ec2) if images_in(one) >= set(images))
    return next(same, None)


def _make(ec2: Any, context: RolloutContext, images: list[str]) -> str:
    made = output_of(_command(context, images), environ=environ(context), remedy=_REMEDY)
    _require(ec2, made)
    return made


def _command(context: RolloutContext, images: list[str]) -> list[str]:
    """The command that makes one with the nodes' Bottlerocket release."""
    config = context.config
    release = _on_nodes(config)[0].extra_values.karpenter.node_template.ami_version
    ami = f"/aws/service/bottlerocket/aws-k8s-{config.cluster.version}/x86_64/{release}/image_id"
    return [str(_SCRIPT), "-r", context.account.region, "-a", ami, "-q", ",".join(images)]


def _require(ec2: Any, snapshot: str) -> None:
    found = _described(ec2, snapshot)
    if found is None or found["State"] != "completed":
        raise DeployError(
            f"Snapshot {snapshot} is {found['State'] if found else 'not there'} in this region.",
            "Name one that is there and completed, or let one be made: leave out -s, or snapshotID in config.yaml.",
        )


def _described(ec2: Any, snapshot: str) -> dict[str, Any] | None:
    try:
        found = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
    except ClientError as exc:
        if error_code(exc).startswith("InvalidSnapshot"):
            return None
        raise
    return dict(found[0]) if found else None
