"""values.yaml, its schema and the README are what the contract's models say."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from chartkit import AWS, CHART
from pydantic import ValidationError

from configuration.chart_values import ChartValues
from docs.generate_chart import pages
from runtimes.registry import RUNTIME_TYPES
from test.kit.charts import at, merged


@pytest.mark.parametrize("path", list(pages()), ids=lambda path: path.name)
def test_each_generated_file_is_what_the_code_writes(path):
    assert path.read_text(encoding="utf-8") == pages()[path], "run: python -m docs.generate_chart"


def test_the_chart_and_the_project_have_one_version():
    version = tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_charts_defaults_are_the_models():
    assert ChartValues.model_validate(yaml.safe_load((CHART / "values.yaml").read_text())) == ChartValues()


def test_every_value_has_a_comment_before_it():
    lines = (CHART / "values.yaml").read_text().splitlines()
    is_value = [not re.match(r" *#", line) or bool(re.fullmatch(r" *# \w+:", line)) for line in lines]
    assert sum(is_value) > 100
    assert [line for index, line in enumerate(lines) if is_value[index] and is_value[index - 1]] == []


def test_a_release_with_the_models_defaults_written_out_is_the_one_without(helm):
    written_out = ChartValues.model_validate(AWS).model_dump(by_alias=True, exclude_none=True)
    assert helm.template(written_out) == helm.template(AWS)


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("runtim", {}),
        ("runtime.inferenceApi.imag", {}),
        ("karpenter.nodeTemplate.osVolume.snapshotID", {}),
        ("runtime.inferenceApi.image.digest", "sha256:1"),
        ("karpenter.nodeTemplate.osVolume.iops", 100),
        ("karpenter.nodeTemplate.amiFamily", "AL2023"),
        ("karpenter.nodeTemplate.amiVersion", "latest"),
        ("runtime.terminationGracePeriodSeconds", 10),
        ("runtime.scaling.maxReplicaCount", 0),
        ("runtime.inferenceApi.cache.size", "60"),
        ("runtime.inferenceApi.modelOptions", {"profil": "flux-schnell"}),
    ],
)
def test_helm_refuses_a_wrong_value_and_a_key_that_is_none(helm, path, wrong):
    assert path.rpartition(".")[2] in helm.refusal(merged(AWS, at(path, wrong)))


REQUIRED = (
    *(f"runtime.queueAgent.{name}" for name in ("s3Bucket", "snsTopicArn", "sqsQueueUrl", "jobsTable")),
    *("runtime.inferenceApi.modelFilename", "runtime.persistence.bucketName", "karpenter.nodeTemplate.iamRole"),
    *("karpenter.nodeTemplate.securityGroupSelector", "karpenter.nodeTemplate.subnetSelector"),
)


def test_all_required_values_that_are_missing_are_named_at_once_with_what_to_do(helm):
    said = helm.refusal({})
    assert [path for path in REQUIRED if f"- {path}: set it to" not in said] == []


RAID_AND_SNAPSHOT = {"instanceStorePolicy": "RAID0", "dataVolume": {"snapshotID": "snap-1"}}
NO_CAPACITY = {"onDemand": False, "spot": False}
SHORT_WINDOW = "runtime.scaling.extraHPAConfig.behavior.scaleDown.stabilizationWindowSeconds"
NONSENSE = [
    ("runtime.scaling.minReplicaCount", 21, "runtime.scaling.minReplicaCount"),
    ("runtime.scaling.queueLength", 1001, "/runtime/scaling/queueLength"),
    ("karpenter.provisioner.resourceLimits", {"nvidia.com/gpu": "19"}, "is 19, too little for 20 pods of 1 each"),
    ("karpenter.provisioner.capacityType", NO_CAPACITY, "karpenter.provisioner.capacityType"),
    ("karpenter.nodeTemplate", RAID_AND_SNAPSHOT, "karpenter.nodeTemplate.instanceStorePolicy"),
]


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        *NONSENSE,
        ("runtime.type", "oracle", f'runtime.type: "oracle" is none of {", ".join(sorted(RUNTIME_TYPES))}'),
        ("runtime.type", "flux", "runtime.inferenceApi.modelOptions: set it to"),
        ("runtime.type", "bedrock", "runtime.queueAgent.modelOptions: set it to"),
        ("runtime.queueAgent.snsTopicArn", "notices", "runtime.queueAgent.awsRegion"),
        (SHORT_WINDOW, 59, "runtime.scaling.extraHPAConfig"),
    ],
)
def test_what_makes_no_sense_is_named(helm, path, value, said):
    assert said in helm.refusal(merged(AWS, at(path, value)))


@pytest.mark.parametrize(("path", "value"), [(path, value) for path, value, _ in NONSENSE])
def test_what_makes_no_sense_is_an_error_of_config_yaml_already(path, value):
    with pytest.raises(ValidationError):
        ChartValues.model_validate(at(path, value))


def test_the_example_in_the_readme_installs_and_the_notes_say_how_to_see_the_pods(helm):
    text = (CHART / "README.md").read_text()
    example = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    done = helm.run("install", "sdruntime", CHART, "--dry-run=client", "--namespace", "art", values=example)
    assert "kubectl logs -n art deployment/sdruntime -c queue-agent" in done.stdout, done.stderr
