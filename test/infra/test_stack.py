"""The whole of each example configuration, down to the release of every runtime."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from infrakit.stacks import CONFIGS, NAMES, synthesized

from configuration.chart_release import ReleaseValues
from configuration.file import load_config
from configuration.images import IMAGES, content_tag

ROOT = Path(__file__).parents[2]
SNAPSHOTS = Path(__file__).parent / "snapshots"
_HASH = re.compile(r"[0-9A-F]{8}(?=[A-Z]|$)|[0-9a-f]{32}$")


def inventory(stack):
    """What the stack consists of, one line each; what CDK numbers by hash stands without it."""
    lines = (f"{one['Type']} {_HASH.sub('', name)}" for name, one in stack.template["Resources"].items())
    return "\n".join(sorted(lines)) + "\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_consists_of_what_its_snapshot_lists(name, request):
    snapshot = SNAPSHOTS / f"{name}.txt"
    found = inventory(synthesized(name))
    if request.config.getoption("--write-snapshots"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(found, encoding="utf-8")

    assert found.splitlines() == snapshot.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_cfn_lint_finds_nothing(name, tmp_path):
    template = tmp_path / "template.json"
    template.write_text(synthesized(name).text, encoding="utf-8")
    # W: what CDK writes more explicitly than the linter would; E errors and I information alike count.
    ignored = ["--ignore-checks", "W3005", "W2001"]
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(template), "--regions", "us-east-1", *ignored]

    linted = subprocess.run(command, capture_output=True, text=True, check=False)

    assert linted.stdout == ""
    assert linted.returncode == 0


def test_the_outputs_are_those_that_the_scripts_and_the_documentation_name():
    outputs = synthesized("minimal").template["Outputs"]

    assert set(outputs) == {
        "FrontApiEndpoint",
        "GetAPIKeyCommand",
        "ConfigCommand",
        "ClusterName",
        "OutputS3Bucket",
        "sdNotificationOutputArn",
        "JobsTable",
    }


@pytest.mark.parametrize("name", NAMES)
def test_no_partition_domain_or_region_is_written_down(name):
    text = synthesized(name).text
    for known in (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").split():
        text = text.replace(known.strip(",[]{}\"'"), "") if len(known) > 12 else text

    assert not re.findall(r"arn:aws[a-z-]*:(?!iam::aws)[^\"]{0,60}", text)
    assert not re.findall(r"\b(?:us|eu|ap|cn)-[a-z]+-\d\b", text)
    assert not re.findall(r"[^\"\s]*amazonaws\.com(?:\.cn)?(?<!\.amazonaws\.com)[^\"]{0,30}", text)


@pytest.mark.parametrize("name", NAMES)
def test_each_runtime_has_a_release_whose_values_fit_the_chart(name):
    stack = synthesized(name)
    releases = stack.releases()

    for runtime in stack.config.models_runtime:
        release = releases[runtime.name]
        assert release["Namespace"] == runtime.namespace
        if runtime.chart_repository is None:
            ReleaseValues.model_validate(release["Values"])


@pytest.mark.parametrize("name", ["minimal", "everything"])
def test_pods_ask_for_just_the_images_that_a_build_of_this_checkout_makes(name):
    stack = synthesized(name)
    releases = stack.releases()

    for runtime in stack.config.models_runtime:
        values = releases[runtime.name]["Values"]["runtime"]
        for container, image in (("inferenceApi", runtime.type), ("queueAgent", "queue-agent")):
            asked = values[container]["image"]
            assert asked["repository"].endswith(f"/sd-on-eks/{image}")
            assert asked["tag"] == content_tag(ROOT, IMAGES[image].dockerfile)
            assert "digest" not in asked


def test_a_runtime_of_a_foreign_chart_is_released_from_there():
    release = synthesized("own-chart").releases()["mine"]

    assert (release["Repository"], release["Version"]) == ("oci://registry.example/charts/sd-on-eks", "9.9.9")
    assert release["Values"]["anything"] == {"goes": 1}
    assert release["Values"]["runtime"]["queueAgent"]["sqsQueueUrl"].startswith("${")


def test_no_output_holds_a_key():
    for name in NAMES:
        assert "AWS::ApiGateway::ApiKey" in synthesized(name).text
        assert not [one for one in synthesized(name).properties("AWS::ApiGateway::ApiKey") if "Value" in one]


def depends(stack, name):
    """Logical ids that a resource comes after, directly or not."""
    seen, waiting = set(), [name]
    while waiting:
        after = stack.template["Resources"][waiting.pop()].get("DependsOn", [])
        new = {after} if isinstance(after, str) else set(after)
        waiting += new - seen
        seen |= new
    return seen


def test_a_runtime_is_removed_before_its_nodes_are_waited_for_and_those_before_karpenter():
    stack = synthesized("minimal")
    charts = stack.resources("Custom::AWSCDK-EKS-HelmChart")
    named = {one["Properties"]["Release"]: name for name, one in charts.items()}
    [drain] = stack.resources("Custom::KarpenterNodeDrain")

    assert drain in depends(stack, named["sdruntime"])
    assert named["karpenter"] in depends(stack, drain)
    assert named["keda"] in depends(stack, named["sdruntime"])


def test_pods_get_their_role_before_they_start():
    stack = synthesized("minimal")
    [release] = [
        name
        for name, one in stack.resources("Custom::AWSCDK-EKS-HelmChart").items()
        if one["Properties"]["Release"] == "sdruntime"
    ]
    own = [
        name
        for name, one in stack.resources("AWS::EKS::PodIdentityAssociation").items()
        if one["Properties"]["ServiceAccount"] == "sdruntime"
    ]

    assert set(own) <= depends(stack, release)


def test_the_application_says_that_the_examples_bucket_is_nobodys_own(tmp_path):
    from cdk.__main__ import _EXAMPLE_BUCKET

    assert load_config(ROOT / "config.yaml").model_bucket_arn == _EXAMPLE_BUCKET
    path = tmp_path / "config.yaml"
    path.write_text((ROOT / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "cdk"],
        env={"CDK_CONFIG_PATH": str(path), "CDK_OUTDIR": str(tmp_path / "out")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert "modelBucketArn is still the example's" in run.stderr


def test_the_application_names_every_fault_of_a_file_and_fails(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("stackName: 1a\nmodelsRuntime: []\n", encoding="utf-8")

    run = subprocess.run(
        [sys.executable, "-m", "cdk"], env={"CDK_CONFIG_PATH": str(path)}, capture_output=True, text=True, check=False
    )

    assert run.returncode == 1
    assert all(field in run.stderr for field in ("stackName", "modelBucketArn", "modelsRuntime"))
    assert "Traceback" not in run.stderr
