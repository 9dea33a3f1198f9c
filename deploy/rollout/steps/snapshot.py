"""The snapshot that holds the images, so that a new node has them at once."""

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from configuration.config import ModelsRuntime
from configuration.images import AGENT, pod_images
from deploy.console import ask, note
from deploy.errors import DeployError
from deploy.processes import ROOT, output_of
from deploy.rollout.asked_images import address
from deploy.rollout.deployment import Deployment
from deploy.rollout.journal import SNAPSHOT

_SCRIPT = ROOT / "utils" / "bottlerocket-images-cache" / "snapshot.sh"
_REMEDY = "Its own words stand above; it has removed what it made. Run this again, or name a snapshot with -s."
_COMPLETED = "completed"
_IMAGE_TAG = "image-"


class Snapshot:
    """An EBS snapshot with the images."""

    title = "Snapshot"

    def foresee(self, deployment: Deployment) -> str:
        """Say whether one would be made."""
        if deployment.kept is not None or deployment.options.snapshot is not None:
            return f"check {', '.join(_named(deployment)) or 'none: config.yaml names no snapshot'}"
        where = "" if _has_default_subnet(deployment) else "; there is no default subnet: in a network of its own"
        return f"make one, unless there is one of the very same images{where}"

    def run(self, deployment: Deployment) -> str:
        """Make one, unless one is named, or an earlier run has made one of the very same images."""
        ec2 = deployment.account.client("ec2")
        if deployment.kept is not None or deployment.options.snapshot is not None:
            return self._check_named(ec2, deployment)
        images = [str(deployment.images[name]) for name in (deployment.options.runtime_type, AGENT)]
        if (earlier := _remembered(ec2, deployment, images)) is not None:
            deployment.snapshot = earlier
            return f"{deployment.snapshot} holds these images already"
        deployment.snapshot = _made(ec2, deployment, images)
        return f"{deployment.snapshot} made"

    @staticmethod
    def _check_named(ec2: Any, deployment: Deployment) -> str:
        snapshots = _named(deployment)
        for snapshot in snapshots:
            _require(ec2, snapshot)
        for difference in _differences(ec2, deployment):
            note(difference)
        _offer(ec2, deployment)
        if not snapshots:
            return "none: new nodes pull their images first"
        deployment.snapshot = deployment.options.snapshot
        return f"{', '.join(snapshots)} is there"


def _named(deployment: Deployment) -> list[str]:
    if deployment.kept is None:
        return [deployment.options.snapshot] if deployment.options.snapshot else []
    volumes = (
        one.extra_values.karpenter.node_template.data_volume
        for one in deployment.kept.enabled_runtimes
        if one.extra_values.karpenter.enabled
    )
    return sorted({volume.snapshot_id for volume in volumes if volume.snapshot_id is not None})


def _differences(ec2: Any, deployment: Deployment) -> Iterator[str]:
    """Images that pods will ask for and a snapshot, as far as it says what it holds, does not have."""
    for runtime in deployment.kept.enabled_runtimes if deployment.kept is not None else ():
        snapshot = runtime.extra_values.karpenter.node_template.data_volume.snapshot_id
        held = _held(ec2, snapshot) if snapshot is not None else set()
        for asked in (address(deployment.account, image) for image in pod_images(runtime) if held):
            if asked not in held:
                yield f"Snapshot {snapshot} does not hold {asked}: nodes of {runtime.name} pull it first."


def _offer(ec2: Any, deployment: Deployment) -> None:
    """Make a snapshot in the place of one that lacks images, if the operator likes; say how config.yaml names it."""
    runtimes = [one for one in _with_nodes(deployment) if _lacks_images(ec2, deployment, one)]
    images = sorted({address(deployment.account, image) for one in runtimes for image in pod_images(one)})
    if not images:
        return
    names = ", ".join(one.name for one in runtimes)
    line = "extraValues.karpenter.nodeTemplate.dataVolume.snapshotID"
    if (made := _remembered(ec2, deployment, images)) is None:
        if not ask(f"New nodes of {names} pull their images first. Make a snapshot of them now (about ten minutes)?"):
            command = " ".join(map(str, _command(deployment, images)))
            note(f"new nodes of {names} pull their images first. To spare them that: {command}, and its ID as {line}.")
            return
        made = _made(ec2, deployment, images)
    note(f"{made} holds the images of {names}. Set it in config.yaml and deploy again: {line}: {made}")


def _with_nodes(deployment: Deployment) -> list[ModelsRuntime]:
    runtimes = deployment.kept.enabled_runtimes if deployment.kept is not None else []
    return [one for one in runtimes if one.extra_values.karpenter.enabled and pod_images(one)]


def _lacks_images(ec2: Any, deployment: Deployment, runtime: ModelsRuntime) -> bool:
    snapshot = runtime.extra_values.karpenter.node_template.data_volume.snapshot_id
    held = _held(ec2, snapshot) if snapshot is not None else set()
    return bool(held) and not {address(deployment.account, image) for image in pod_images(runtime)} <= held


def _remembered(ec2: Any, deployment: Deployment, images: list[str]) -> str | None:
    """The snapshot of the very same images that an earlier run has made, if it is still there."""
    earlier = deployment.journal.recall(SNAPSHOT) or {}
    same = earlier.get("images") == images and _state(ec2, earlier["id"]) == _COMPLETED
    return str(earlier["id"]) if same else None


def _made(ec2: Any, deployment: Deployment, images: list[str]) -> str:
    made = output_of(_command(deployment, images), environ=deployment.environ, remedy=_REMEDY)
    _require(ec2, made)
    deployment.journal.remember(SNAPSHOT, {"id": made, "images": images})
    return made


def _command(deployment: Deployment, images: list[str]) -> list[str]:
    """How one is made, by the Bottlerocket that nodes run."""
    config = deployment.config
    release = config.enabled_runtimes[0].extra_values.karpenter.node_template.ami_version
    ami = f"/aws/service/bottlerocket/aws-k8s-{config.cluster.version}/x86_64/{release}/image_id"
    return [str(_SCRIPT), "-r", deployment.account.region, "-a", ami, "-q", ",".join(images)]


def _has_default_subnet(deployment: Deployment) -> bool:
    filters = [{"Name": "default-for-az", "Values": ["true"]}, {"Name": "state", "Values": ["available"]}]
    return bool(deployment.account.client("ec2").describe_subnets(Filters=filters)["Subnets"])


def _held(ec2: Any, snapshot: str) -> set[str]:
    """The images in a snapshot: snapshot.sh writes them into tags."""
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
        if exc.response["Error"]["Code"].startswith("InvalidSnapshot"):
            return None
        raise
    return str(found[0]["State"]) if found else None
