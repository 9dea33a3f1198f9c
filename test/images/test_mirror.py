"""mirror-images.sh: charts and images of others, copied into the account's registry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from cdk.versions import KARPENTER, KARPENTER_CRD, KARPENTER_IMAGE, KEDA, published
from deploy.errors import DeployError
from deploy.images.mirror import mirrored_name

ROOT = Path(__file__).parents[2]
CHARTS = (KEDA, KARPENTER_CRD, KARPENTER)
OURS = "222233334444.dkr.ecr.us-east-1.example.com/sd-on-eks/sdwebui:0.1.0-abc"
RENDERED = """
      - name: keda
        image: "ghcr.io/kedacore/keda:2.21.0"
      - image: 'public.ecr.aws/karpenter/controller:1.14.1@sha256:ff'
        env: [{name: image, value: no-image}]
        image: ghcr.io/kedacore/keda:2.21.0
"""

# `pull` leaves a package, `template` renders what the test says; copies and pushes reach moto's registry.
HELM = """
if ARGUMENTS[0] == "pull":
    name = ARGUMENTS[1].rpartition("/")[2]
    (Path(ARGUMENTS[ARGUMENTS.index("--destination") + 1]) / f"{name}-1.tgz").write_text("chart")
elif ARGUMENTS[0] == "template":
    print(os.environ["RENDERED"])
elif ARGUMENTS[0] == os.environ.get("BROKEN"):
    sys.exit(1)
"""
COPY = """
sys.path[:0] = json.loads(os.environ["LIBRARIES"])
import boto3
if "copy" in ARGUMENTS or "create" in ARGUMENTS:
    target = ARGUMENTS[2] if "copy" in ARGUMENTS else ARGUMENTS[ARGUMENTS.index("--tag") + 1]
    name, _, tag = target.partition("/")[2].rpartition(":")
    manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "name": name})
    boto3.client("ecr").put_image(repositoryName=name, imageTag=tag, imageManifest=manifest)
"""


def mirror(programs, environ, *images, **more):
    """Run mirror-images.sh with a fake helm."""
    programs.add("helm", HELM)
    return subprocess.run(
        [ROOT / "deploy" / "mirror-images.sh", *images],
        env=programs.environ(**environ, **{"RENDERED": RENDERED, "LIBRARIES": json.dumps(sys.path), **more}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("copier", "copying"), [("crane", ["copy"]), ("docker", ["buildx", "imagetools", "create", "--tag"])]
)
def test_charts_and_images_are_copied_once_under_their_own_names_without_a_password_in_a_command(
    programs, aws, copier, copying
):
    programs.add(copier, COPY)
    ended = mirror(programs, aws, OURS)
    assert ended.returncode == 0, ended.stderr
    assert mirror(programs, aws, OURS).stdout == ended.stdout
    calls, registry = programs.calls, ended.stdout.strip()

    def arguments_of(*start):
        return [call["arguments"] for call in calls if call["arguments"][: len(start)] == [*start]]

    copied = [word for words in arguments_of(*copying) for word in words if word.startswith(f"{registry}/")]
    karpenter, others = (
        f"{KARPENTER_IMAGE}:{KARPENTER.version}",
        [one.partition("/")[2] for one in published()["images"]],
    )
    names = sorted([karpenter, "kedacore/keda:2.21.0", "sd-on-eks/sdwebui:0.1.0-abc", *others])
    assert sorted(word.removeprefix(f"{registry}/") for word in copied) == names
    # The charts are of the stack's versions, and where it looks for them.
    pulled = {words[words.index("--version") + 1] for words in arguments_of("pull")}
    assert pulled == {chart.version for chart in CHARTS}
    assert {words[2] for words in arguments_of("push")} == {f"oci://{registry}/charts"}
    places = {chart.location(registry)["repository"].removeprefix(f"oci://{registry}/") for chart in CHARTS}
    assert places <= {one["repositoryName"] for one in boto3.client("ecr").describe_repositories()["repositories"]}
    passwords = {call["program"]: call["stdin"] for call in calls if "login" in call["arguments"]}
    assert set(passwords) == {copier, "helm"}
    words = [word for call in calls for word in call["arguments"]]
    assert all(password and not any(password in word for word in words) for password in passwords.values())


def test_a_chart_that_cannot_be_pushed_fails_the_command(programs, aws):
    programs.add("crane", COPY)
    ended = mirror(programs, aws, BROKEN="push")
    assert (ended.returncode, ended.stdout) == (1, "")


def test_without_a_program_that_copies_the_command_says_which_are_possible(programs, aws):
    tools = programs.home / "tools"
    tools.mkdir()
    for name in ("bash", "env", "dirname"):
        (tools / name).symlink_to(shutil.which(name))
    ended = mirror(programs, aws, PATH=f"{programs.bin}:{tools}")
    assert ended.returncode == 1
    assert "Neither crane nor docker" in ended.stderr


@pytest.mark.parametrize("image", ["nginx:1.0", "registry.example/app", "localhost:5000/app", "a/b:1"])
def test_an_image_without_registry_or_tag_is_refused(image):
    with pytest.raises(DeployError, match="does not name registry and tag"):
        mirrored_name(image)
