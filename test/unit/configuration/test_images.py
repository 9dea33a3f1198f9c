import re
import shutil
from pathlib import Path

import pytest

from configuration.config import parse_config
from configuration.images import (
    AGENT,
    AGENT_ON_ARM,
    DEPLOYED,
    IMAGES,
    agent_source,
    content_tag,
    context_files,
    pod_images,
)
from runtimes.registry import pod_types

DIGEST = "sha256:" + "a" * 64
REGISTRY = "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn"
SERVER = f"{REGISTRY}/sd-on-eks/sdwebui"


def images_of(image=None, **runtime):
    """The images of model server and agent, where config.yaml says this of the server's."""
    values = {"runtime": {"inferenceApi": {"image": image or {}}}}
    entry = {"name": "one", "namespace": "one", "type": "sdwebui", "dynamicModel": True, "extraValues": values}
    data = {"stackName": "a", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [{**entry, **runtime}]}
    config = parse_config(data)
    return pod_images(config, config.models_runtime[0])


def test_a_deployment_builds_the_agent_and_a_server_of_each_type():
    assert set(DEPLOYED) == {AGENT, *pod_types()} == set(IMAGES) - {"standin", AGENT_ON_ARM}


@pytest.mark.parametrize(
    ("instance_type", "is_arm"),
    [
        *(("m5.large", False), ("g5.xlarge", False), ("c7i-flex.large", False), ("u7i-6tb.112xlarge", False)),
        *(("t4g.medium", True), ("a1.large", True), ("m8gd.large", True), ("im4gn.large", True), ("g5g.xlarge", True)),
    ],
)
def test_the_agent_on_the_clusters_own_nodes_is_for_their_processors(instance_type, is_arm):
    cluster = {"systemNodes": {"instanceType": instance_type}}
    entry = {"name": "one", "namespace": "one", "type": "sdwebui", "dynamicModel": True}
    data = {"stackName": "a", "modelBucketArn": "arn:aws:s3:::models", "modelsRuntime": [entry], "cluster": cluster}
    config = parse_config(data)
    assert agent_source(config).name == (AGENT_ON_ARM if is_arm else AGENT)
    assert {image.source.platform for image in pod_images(config, config.models_runtime[0])} == {"linux/amd64"}


def test_pods_are_made_of_a_server_of_their_type_and_the_agent_unless_a_foreign_chart_names_its_images():
    assert [(image.container, image.source.name) for image in images_of()] == [
        ("inferenceApi", "sdwebui"),
        ("queueAgent", "queue-agent"),
    ]
    assert images_of(chartRepository="oci://registry.example/mine") == ()


@pytest.mark.parametrize(
    ("image", "is_default"),
    [({}, True), ({"repository": ""}, True), ({"repository": "a"}, False), ({"tag": "7"}, False)],
)
def test_an_image_is_the_deployments_choice_until_config_yaml_says_anything_of_it(image, is_default):
    assert images_of(image)[0].is_default is is_default
    assert images_of(image)[1].is_default


@pytest.mark.parametrize(
    ("image", "is_ours"),
    [
        *(({}, True), ({"digest": DIGEST}, True), ({"repository": SERVER}, True), ({"repository": "mine"}, False)),
        ({"repository": f"{REGISTRY}/sd-on-eks/comfyui"}, False),
        ({"repository": "other.example/sd-on-eks/sdwebui"}, False),
    ],
)
def test_an_image_is_ours_if_it_is_in_our_repository_however_it_is_named(image, is_ours):
    assert images_of(image)[0].is_ours(REGISTRY) is is_ours


def make_context(folder, rules, files):
    (folder / "Dockerfile.dockerignore").write_text("\n".join(rules))
    (folder / "Dockerfile").write_text("FROM scratch")
    (folder / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n')
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_the_last_matching_rule_decides_as_in_docker(tmp_path):
    files = ["a/x.py", "a/b/y.py", "a/b/__pycache__/y.pyc", "a/secret.txt", "other/z.py"]
    make_context(tmp_path, ["*", "# what is copied", "!a", "a/*.txt", "**/__pycache__"], files)
    assert [str(path) for path in context_files(tmp_path, Path("Dockerfile"))] == ["a/b/y.py", "a/x.py"]


def test_a_list_that_ignores_single_files_is_refused(tmp_path):
    make_context(tmp_path, ["a", "!b"], [])
    with pytest.raises(ValueError, match="must ignore all"):
        context_files(tmp_path, Path("Dockerfile"))


def test_the_tag_is_the_version_and_changes_with_every_file_that_the_build_sees_and_with_no_other(tmp_path):
    make_context(tmp_path, ["*", "!a"], ["a/x.py", "other.py"])
    before = content_tag(tmp_path, Path("Dockerfile"))
    assert re.fullmatch(r"7\.8\.9-[0-9a-f]{12}", before)
    (tmp_path / "other.py").write_text("changed")
    assert content_tag(tmp_path, Path("Dockerfile")) == before
    tags = {before}
    for changed in ("a/x.py", "Dockerfile"):
        (tmp_path / changed).write_text("changed")
        tags.add(content_tag(tmp_path, Path("Dockerfile")))
    shutil.move(tmp_path / "a" / "x.py", tmp_path / "a" / "y.py")
    tags.add(content_tag(tmp_path, Path("Dockerfile")))
    assert len(tags) == 4
