"""The second CDK application: one CodeBuild project with no more rights than it uses."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from cfnlint.api import lint
from infrakit.stacks import listed

from configuration.images import IMAGES, context_files

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def assembly(tmp_path_factory):
    """cdk-nag fails the synthesis where it finds anything."""
    out = tmp_path_factory.mktemp("cdk.out")
    environ = {**os.environ, "CDK_OUTDIR": str(out), "CDK_CONTEXT_JSON": json.dumps({"stackName": "demo"})}
    ended = subprocess.run(
        [sys.executable, "-m", "cdk.images"], env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return out


@pytest.fixture(scope="module")
def resources(assembly):
    template = json.loads((assembly / "demoImagesStack.template.json").read_text())
    return {resource["Type"]: resource["Properties"] for resource in template["Resources"].values()}


def test_cfn_lint_finds_nothing(assembly):
    assert lint((assembly / "demoImagesStack.template.json").read_text()) == []


def test_the_role_has_these_rights_and_pushes_to_the_platforms_repositories_alone(resources):
    granted = {
        action: statement["Resource"]
        for statement in resources["AWS::IAM::Policy"]["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
    }
    assert set(granted) == {
        *("s3:GetObject", "s3:GetObjectVersion", "s3:GetBucketLocation"),
        *("logs:CreateLogStream", "logs:PutLogEvents"),
        *("ecr:GetAuthorizationToken", "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage"),
        *("ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart"),
        *("ecr:CompleteLayerUpload", "ecr:PutImage"),
    }
    assert [action for action, resource in granted.items() if resource == "*"] == ["ecr:GetAuthorizationToken"]
    assert granted["ecr:PutImage"]["Fn::Join"][1][-1] == ":repository/sd-on-eks/*"
    assert all(source.repository.startswith("sd-on-eks/") for source in IMAGES.values())
    assert resources["AWS::CodeBuild::Project"]["Environment"]["PrivilegedMode"] is True  # for a container engine
    assert resources["AWS::Logs::LogGroup"]["RetentionInDays"] == 30


def test_the_source_holds_just_what_the_builds_see(assembly):
    (source,) = assembly.glob("asset.*")
    held = {file.relative_to(source) for file in source.rglob("*") if file.is_file()}
    dockerfiles = {image.dockerfile for image in IMAGES.values()}
    allow_lists = {Path(f"{dockerfile}.dockerignore") for dockerfile in dockerfiles}
    seen = {file for dockerfile in dockerfiles for file in context_files(ROOT, dockerfile)}
    assert held == {*dockerfiles, *allow_lists, *seen}


def test_a_build_logs_in_builds_and_pushes_layers_of_zstd_without_a_password_in_a_command(resources, tmp_path):
    """The build specification's own commands, run against fakes."""
    calls = tmp_path / "calls"
    recorded = f'echo ${{0##*/}} $* "<$(cat)" >>{calls}'
    for name, lines in {"aws": "echo the-password", **dict.fromkeys(("docker", "go", "regctl"), recorded)}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{lines}\n")
        (tmp_path / name).chmod(0o755)
    variables = {"DOCKERFILE": "a/Dockerfile", "REPOSITORY": "registry.example/sd-on-eks/a", "TAG": "1-abc"}
    environ = {**variables, "PATH": f"{tmp_path}:/usr/bin:/bin"}
    phases = yaml.safe_load(resources["AWS::CodeBuild::Project"]["Source"]["BuildSpec"])["phases"]
    for phase in ("install", "pre_build", "build", "post_build"):
        for command in phases[phase]["commands"]:
            subprocess.run(["bash", "-c", command], env=environ, stdin=subprocess.DEVNULL, check=True)
    image = "registry.example/sd-on-eks/a:1-abc"
    install, *others = calls.read_text().splitlines()
    assert re.fullmatch(r"go install \S+/regctl@v[\d.]+ <", install)
    assert others == [
        "docker login --username AWS --password-stdin registry.example <the-password",
        f"docker build --file a/Dockerfile --tag {image} . <",
        f"docker save --output /tmp/image.tar {image} <",
        "regctl image import ocidir:///tmp/image:built /tmp/image.tar <",
        "regctl image mod ocidir:///tmp/image:built --to-oci --create oci <",
        "regctl image mod ocidir:///tmp/image:oci --layer-compress zstd --create zstd <",
        f"regctl image copy ocidir:///tmp/image:zstd {image} <",
    ]
