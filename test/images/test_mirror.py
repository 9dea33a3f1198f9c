"""mirror-images.sh: charts and images of others, copied into the account's registry."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture(scope="module", params=["crane", "docker"])
def mirrored(request, fake_programs, empty_account, tmp_path_factory):
    """All is mirrored, by crane also a second time; gives the registry, its repositories and the calls."""
    programs, environ = fake_programs(tmp_path_factory.mktemp(request.param)), empty_account()
    programs.add(request.param, COPY)
    ended = mirror(programs, environ, OURS)
    assert ended.returncode == 0, ended.stderr
    if request.param == "crane":
        assert mirror(programs, environ, OURS).stdout == ended.stdout
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        names = {entry["repositoryName"] for entry in boto3.client("ecr").describe_repositories()["repositories"]}
    return SimpleNamespace(
        registry=ended.stdout.strip(), repositories=names, calls=programs.calls, copier=request.param
    )


def test_every_image_is_copied_once_under_its_own_name(mirrored):
    copying = {"crane": ["copy"], "docker": ["buildx", "imagetools", "create", "--tag"]}[mirrored.copier]
    copies = [call["arguments"] for call in mirrored.calls if call["arguments"][: len(copying)] == copying]
    words = [word for arguments in copies for word in arguments if word.startswith(f"{mirrored.registry}/")]
    karpenter, collector = f"{KARPENTER_IMAGE}:{KARPENTER.version}", published()["images"][0].partition("/")[2]
    names = sorted([karpenter, "kedacore/keda:2.21.0", "sd-on-eks/sdwebui:0.1.0-abc", collector])
    assert sorted(word.removeprefix(f"{mirrored.registry}/") for word in words) == names


def test_charts_of_the_stacks_versions_are_pushed_to_where_it_looks_for_them(mirrored):
    pulls, pushes = (
        [call["arguments"] for call in mirrored.calls if call["arguments"][0] == command]
        for command in ("pull", "push")
    )
    assert {words[words.index("--version") + 1] for words in pulls} == {chart.version for chart in CHARTS}
    assert {words[2] for words in pushes} == {f"oci://{mirrored.registry}/charts"}
    places = {chart.location(mirrored.registry)["repository"] for chart in CHARTS}
    assert {place.removeprefix(f"oci://{mirrored.registry}/") for place in places} <= mirrored.repositories


def test_passwords_are_in_no_command_line(mirrored):
    words = [word for call in mirrored.calls for word in call["arguments"]]
    passwords = {call["program"]: call["stdin"] for call in mirrored.calls if "login" in call["arguments"]}
    assert set(passwords) == {mirrored.copier, "helm"}
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
