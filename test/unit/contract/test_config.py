import re
from pathlib import Path

import pytest
import yaml

from configuration.config import ConfigError, parse_config
from configuration.file import ConfigFileError, load_config
from contract.deadlines import DEFAULT_DEADLINES, AskedDeadlines, Deadlines

MINIMAL = """
stackName: sdoneks
modelBucketArn: arn:aws:s3:::models
modelsRuntime:
- name: sdruntime
  namespace: default
  type: sdwebui
  modelFilename: v1-5-pruned-emaonly.safetensors
"""

CHINA = """
stackName: sdoneks
modelBucketArn: arn:aws-cn:s3:::${MODEL_BUCKET}  # aws becomes aws-cn here
APIGW:
  stageName: dev
  throttle:
    rateLimit: 30
    burstLimit: 50
modelsRuntime:
- name: sdruntime
  namespace: "default"
  modelFilename: "v1-5-pruned-emaonly.safetensors"
  dynamicModel: false
  # chartRepository: "http://example.com/"
  type: sdwebui
  extraValues:
    runtime:
      inferenceApi:
        image:
          repository: 123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn/sd-on-eks/sdwebui
          tag: latest
      queueAgent:
        image:
          repository: 123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn/sd-on-eks/queue-agent
          tag: latest
    karpenter:
      nodeTemplate:
        amiFamily: Bottlerocket
        dataVolume:
          snapshotID: snap-1234567890
      provisioner:
        instanceType:
        - "g4dn.xlarge"
        - "g4dn.2xlarge"
        capacityType:
          onDemand: true
          spot: true
"""


def parse(text):
    return parse_config(yaml.safe_load(text))


def faults(text):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return {fault.pointer: fault.detail for fault in caught.value.errors}


def with_runtime(**changes):
    data = yaml.safe_load(MINIMAL)
    data["modelsRuntime"][0].update(changes)
    return yaml.safe_dump(data)


def test_the_file_at_the_root_loads():
    config = load_config(Path("config.yaml"))
    assert config.catalog.names == ["sdruntime", "comfyruntime"]
    assert config.warnings == []


def test_the_minimal_file_has_every_default():
    config = parse(MINIMAL)
    assert (config.apigw.stage_name, config.apigw.throttle.rate_limit, config.apigw.throttle.burst_limit) == (
        "dev",
        30,
        50,
    )
    assert config.catalog["sdruntime"].deadlines == DEFAULT_DEADLINES
    values = config.models_runtime[0].extra_values
    assert values.runtime.scaling.queue_length == 10
    assert values.runtime.scaling.cooldown_period == 60
    assert values.runtime.scaling.max_replica_count == 20
    assert values.runtime.scaling.scale_on_in_flight is True
    assert values.runtime.inference_api.model_mount_path == "/opt/ml/code/models"
    assert values.runtime.inference_api.resources.requests == {"nvidia.com/gpu": 1, "cpu": "2000m", "memory": "6Gi"}
    assert values.runtime.queue_agent.memory_budget_mib == 1024
    assert values.runtime.queue_agent.resources is None
    assert values.runtime.queue_agent.x_ray.enabled is True
    assert values.runtime.persistence.storage_class == "s3-model-storage-sc"
    assert values.karpenter.provisioner.instance_type == ["g5.xlarge", "g5.2xlarge"]
    assert values.karpenter.provisioner.resource_limits is None
    assert values.karpenter.node_template.ami_family == "Bottlerocket"


def test_the_whole_example_for_china_has_one_fault_which_is_its_placeholder():
    assert faults(CHINA) == {"modelBucketArn": "still holds the placeholder ${MODEL_BUCKET}"}


def test_the_whole_example_for_china_loads_once_its_placeholder_is_filled_in():
    config = parse(CHINA.replace("${MODEL_BUCKET}", "models"))
    values = config.models_runtime[0].extra_values
    assert values.karpenter.node_template.data_volume.snapshot_id == "snap-1234567890"
    assert values.runtime.queue_agent.image.tag == "latest"


def test_an_empty_string_means_that_a_key_is_not_set():
    runtime = parse(with_runtime(chartRepository="", chartVersion="", namespace="x")).models_runtime[0]
    assert (runtime.chart_repository, runtime.chart_version) == (None, None)
    assert faults(MINIMAL.replace("sdoneks", '""')) == {"stackName": "is required"}


@pytest.mark.parametrize("placeholder", ["arn:aws:s3:::<bucket name>", "arn:aws:s3:::${MODEL_BUCKET}"])
def test_a_placeholder_left_in_place_is_a_fault_that_says_so(placeholder):
    assert (
        "still holds the placeholder" in faults(MINIMAL.replace("arn:aws:s3:::models", placeholder))["modelBucketArn"]
    )


def test_a_placeholder_deep_in_the_chart_values_is_found():
    image = {"repository": "<account_id>.dkr.ecr.<region>.amazonaws.com/sd-on-eks/sdwebui"}
    text = with_runtime(extraValues={"runtime": {"inferenceApi": {"image": image}}})
    assert "<account_id>" in faults(text)["modelsRuntime[0].extraValues.runtime.inferenceApi.image.repository"]


def test_angle_brackets_in_free_text_are_no_placeholders():
    values = {"karpenter": {"nodeTemplate": {"userData": "[settings]\nx = '<y>'"}}}
    assert parse(with_runtime(extraValues=values))


def test_every_fault_of_a_file_is_reported_at_once_with_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(
        "stackName: sdoneks\n"
        "modelBucketArn: arn:aws:s3:::<bucket name>\n"
        "APIGW:\n"
        "  stageNam: dev\n"
        "modelsRuntime:\n"
        "- name: a\n"
        "  namespace: x\n"
        "  type: sdwebui\n"
        "- name: a\n"
        "  namespace: y\n"
        "  type: forge\n"
        "  modelFilename: model.bin\n"
    )
    with pytest.raises(ConfigFileError) as caught:
        load_config(path)
    rows = str(caught.value).splitlines()
    assert rows == [
        f"{path} has 6 errors:",
        "  line 2: modelBucketArn still holds the placeholder <bucket name>",
        "  line 4: APIGW.stageNam is not a known key; did you mean stageName?",
        "  line 6: modelsRuntime[0].modelFilename is required unless dynamicModel is true",
        "  line 9: modelsRuntime[1].name is already the name of modelsRuntime[0]",
        '  line 11: modelsRuntime[1].type must be sdwebui, comfyui or flux, not "forge"',
        "  line 12: modelsRuntime[1].modelFilename must end in .safetensors or .ckpt",
    ]


def test_a_file_that_is_no_yaml_is_reported_with_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("stackName: a\nmodelsRuntime: [\n")
    with pytest.raises(ConfigFileError, match="line 3"):
        load_config(path)


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("stackName sd\nmodelBucketArn: x\n", 1),
        ("stackName:sd\n# a comment\n\nmodelBucketArn: x\n", 1),
        ("stackName:\u00a0sd\nmodelBucketArn: x\n", 1),
        ("modelsRuntime:\n  - name:sd\n    type: comfyui\n", 2),
        ("APIGW:\n  throttle:\n    rateLimit: 30\n    burstLimit:50\nstackName: sd\n", 4),
        ("APIGW\n  stageName: dev\n", 1),
        ("stackName: sd\nmodelsRuntime:[]\n", 2),
    ],
)
def test_a_key_without_its_colon_or_blank_is_found_in_its_own_line(tmp_path, written, line):
    path = tmp_path / "config.yaml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(ConfigFileError, match=rf"line {line}: the file lacks a colon and a blank after a key: "):
        load_config(path)


@pytest.mark.parametrize(
    "written", ["stackName: sd\n  modelBucketArn: x\n", "types:\n  - g5.xlarge\n   name: x\n", "  a: 1\n b: 2\n"]
)
def test_what_is_indented_wrongly_is_not_taken_for_a_missing_colon(tmp_path, written):
    path = tmp_path / "config.yaml"
    path.write_text(written, encoding="utf-8")
    with pytest.raises(ConfigFileError, match=r"indented further|same column"):
        load_config(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  - a: 1", "does not fit"),
        ("stackName: a: b", "colon"),
        ("\tkey: 1", "indented with a tab"),
        ("key: @x", "in quotes"),
        ("key: %x", "in quotes"),
        ("key: `x", "in quotes"),
        ("key", "a colon and a blank"),
        ("key: [1, 2", "bracket"),
        ('key: "x', "quote that is not closed"),
        ("key: 'x", "quote that is not closed"),
        ('key: "\\d"', "backslash"),
        ("key: *x", "begins a text with *"),
        ("key: *", "in quotes"),
        ("key: !Ref x", "tag"),
        ("{a: 1}: x", "as a key"),
        ("--- b", "second document"),
        ("key: ]", "in quotes"),
        ("key: \x01", "control character"),
        ("key: &a [*a]", "repeats too much"),
        ("key: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
    ],
)
def test_a_line_that_is_no_yaml_is_told_in_words_of_its_author(tmp_path, line, words):
    path = tmp_path / "config.yaml"
    path.write_text(MINIMAL + line + "\n" + "other: 1\n")
    with pytest.raises(ConfigFileError) as caught:
        load_config(path)
    (fault,) = caught.value.errors
    assert words in fault.detail
    assert not re.search("block|stream|token|node|constructor|alias", fault.detail)


def test_what_repeats_itself_without_measure_is_refused_at_once(tmp_path):
    path = tmp_path / "config.yaml"
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    path.write_text(MINIMAL + "\n".join(levels))
    with pytest.raises(ConfigFileError, match="repeats too much"):
        load_config(path)


@pytest.mark.parametrize("value", ["9" * 5000, "2026-13-45", "-" + "1" * 4400])
def test_a_number_or_a_date_that_cannot_be_is_told_in_its_line(tmp_path, value):
    path = tmp_path / "config.yaml"
    path.write_text(f"stackName: a\nAPIGW:\n  throttle:\n    burstLimit: {value}\n")
    with pytest.raises(ConfigFileError, match=r"line 4: APIGW\.throttle\.burstLimit is a number or a date"):
        load_config(path)


@pytest.mark.parametrize("value", [".inf", ".nan", "1.0e+300", "9" * 400])
def test_a_rate_is_a_number_that_the_gateway_can_be_told(tmp_path, value):
    path = tmp_path / "config.yaml"
    path.write_text(MINIMAL + f"APIGW: {{throttle: {{rateLimit: {value}}}}}\n")
    with pytest.raises(ConfigFileError, match=r"rateLimit (must be|is)"):
        load_config(path)


@pytest.mark.parametrize("key", ["true", "8080", "null", "2026-01-01"])
def test_a_key_that_is_no_text_is_told_so(tmp_path, key):
    path = tmp_path / "config.yaml"
    path.write_text(MINIMAL + f"{key}: x\n")
    with pytest.raises(ConfigFileError, match="has a key that is no text; keys are put in quotes"):
        load_config(path)


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_is_called_empty(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match="the file is empty"):
        load_config(path)


def test_a_control_character_is_told_with_its_line(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("stackName: a\n\nkey: \x01\n")
    with pytest.raises(ConfigFileError, match="line 3: the file holds a control character"):
        load_config(path)


@pytest.mark.parametrize("left_open", ['key: "a', "key: 'a", "key: [a, b", "key: {a: b"])
def test_what_is_left_open_is_told_with_the_line_where_it_begins(tmp_path, left_open):
    path = tmp_path / "config.yaml"
    path.write_text(f"stackName: a\n{left_open}\n\nmore: b\nlast: c\n")
    with pytest.raises(ConfigFileError, match="line 2: "):
        load_config(path)


@pytest.mark.parametrize("raw", [b"\xff", "ä".encode("latin-1"), "a: 1".encode("utf-16")])
def test_a_file_that_is_not_utf_8_is_told_with_its_first_such_byte_and_its_line(tmp_path, raw):
    path = tmp_path / "config.yaml"
    path.write_bytes(b"# one\n# two\nkey: " + raw + b"\n")
    with pytest.raises(ConfigFileError, match=r"line 3: the file is not UTF-8 \(byte 17\)"):
        load_config(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("dynamicModel", "true"), ("dynamicModel", "false"), ("disabled", "yes"), ("dynamicModel", "True")],
)
def test_quotes_around_a_truth_value_are_named_and_nothing_else(key, value):
    changes = {key: value, **({"modelFilename": ""} if key == "dynamicModel" else {})}
    problem = f'must be true or false without quotes, not "{value}"'
    assert faults(with_runtime(**changes)) == {f"modelsRuntime[0].{key}": problem}


@pytest.mark.parametrize("text", ["", "[]", "hello", "1", "null"])
def test_a_file_that_holds_no_mapping_is_a_fault_and_no_traceback(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigFileError, match="has 1 error"):
        load_config(path)


def test_a_key_that_stands_twice_is_a_fault(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(MINIMAL + "  modelFilename: other.ckpt\n")
    with pytest.raises(
        ConfigFileError, match=r"line 9: modelsRuntime\[0\].modelFilename is set twice \(first in line 8\)"
    ):
        load_config(path)


def test_two_runtimes_may_not_serve_one_checkpoint_in_any_spelling():
    data = yaml.safe_load(MINIMAL)
    data["modelsRuntime"].append(
        {"name": "b", "namespace": "b", "type": "sdwebui", "modelFilename": "V1-5-pruned-emaonly.ckpt"}
    )
    assert "already the checkpoint" in faults(yaml.safe_dump(data))["modelsRuntime[1].modelFilename"]


def test_a_dynamic_runtime_needs_no_checkpoint():
    data = yaml.safe_load(MINIMAL)
    data["modelsRuntime"] = [{"name": "d", "namespace": "d", "type": "sdwebui", "dynamicModel": True}]
    assert next(iter(parse(yaml.safe_dump(data)).catalog)).dynamic_model is True


def test_a_shared_namespace_is_a_warning_and_no_fault():
    data = yaml.safe_load(MINIMAL)
    data["modelsRuntime"].append({"name": "c", "namespace": "default", "type": "comfyui"})
    assert [warning.pointer for warning in parse(yaml.safe_dump(data)).warnings] == ["modelsRuntime[1].namespace"]


@pytest.mark.parametrize(
    "values",
    [
        {"runtime": {"serviceAccountName": "mine"}},
        {"runtime": {"type": "sdwebui"}},
        {"runtime": {"queueAgent": {"s3Bucket": "b"}}},
        {"karpenter": {"nodeTemplate": {"iamRole": "r"}}},
    ],
)
def test_a_value_that_the_deployment_computes_may_not_be_set_by_hand(values):
    (problem,) = faults(with_runtime(extraValues=values)).values()
    assert "set by the deployment" in problem


def test_chart_values_are_not_checked_where_a_foreign_chart_is_named():
    values = {"anything": {"goes": "<here>"}}
    runtime = parse(with_runtime(chartRepository="oci://example.com/chart", extraValues=values)).models_runtime[0]
    assert runtime.foreign_chart_values == values


def test_chart_values_are_checked_where_the_projects_own_chart_is_used():
    assert faults(with_runtime(extraValues={"anything": 1})) == {
        "modelsRuntime[0].extraValues.anything": "is not a known key"
    }


@pytest.mark.parametrize(("key", "value"), [("iops", 2999), ("iops", 16001), ("throughput", 124), ("throughput", 1001)])
def test_volume_figures_outside_what_ebs_takes_are_faults(key, value):
    values = {"karpenter": {"nodeTemplate": {"dataVolume": {key: value}}}}
    assert faults(with_runtime(extraValues=values))


@pytest.mark.parametrize("name", ["Upper", "under_score", "-a", "a-", "x" * 54, "a.b", "ä"])
def test_a_runtime_name_that_kubernetes_would_not_take_is_a_fault(name):
    assert "modelsRuntime[0].name" in faults(with_runtime(name=name))


class TestDeadlines:
    """The section `deadlines`, at the top and of a runtime."""

    def config(self, top=None, own=None):
        data = yaml.safe_load(MINIMAL)
        if top is not None:
            data["deadlines"] = top
        if own is not None:
            data["modelsRuntime"][0]["deadlines"] = own
        return yaml.safe_dump(data)

    def test_a_runtimes_own_keys_go_before_those_at_the_top(self):
        top = {"startSeconds": 1000, "executionSeconds": 100, "maxExecutionSeconds": 500}
        own = {"executionSeconds": 200, "stallSeconds": 50, "startSeconds": "", "maxStartSeconds": None}
        assert parse(self.config(top, own)).catalog["sdruntime"].deadlines == Deadlines(
            start_s=1000, execution_s=200, stall_s=50, max_start_s=259200, max_execution_s=500
        )

    @pytest.mark.parametrize(
        ("top", "own", "expected"),
        [
            (
                {"startSeconds": 100, "maxStartSeconds": 99},
                None,
                {"deadlines.startSeconds": "is above maxStartSeconds (99)"},
            ),
            ({"executionSeconds": 4000}, None, {"deadlines.executionSeconds": "is above maxExecutionSeconds (3600)"}),
            ({"stallSeconds": 4000}, None, {"deadlines.stallSeconds": "is above maxExecutionSeconds (3600)"}),
            ({"maxStartSeconds": 60}, None, {"deadlines.maxStartSeconds": "is below startSeconds (86400)"}),
            (
                {"maxExecutionSeconds": 4000},
                {"executionSeconds": 4001},
                {"modelsRuntime[0].deadlines.executionSeconds": "is above maxExecutionSeconds (4000)"},
            ),
            (
                {"executionSeconds": 3000},
                {"maxExecutionSeconds": 2000},
                {"modelsRuntime[0].deadlines.maxExecutionSeconds": "is below executionSeconds (3000)"},
            ),
        ],
    )
    def test_a_deadline_above_its_maximum_is_a_fault_where_it_is_made(self, top, own, expected):
        assert faults(self.config(top, own)) == expected

    @pytest.mark.parametrize("key", ["startSeconds", "maxStartSeconds"])
    def test_a_start_deadline_above_three_days_is_a_fault(self, key):
        assert "259200" in faults(self.config({key: 259201}))[f"deadlines.{key}"]
        assert "259200" in faults(self.config(None, {key: 259201}))[f"modelsRuntime[0].deadlines.{key}"]

    @pytest.mark.parametrize("value", [0, -1, "soon", float("inf"), float("nan"), [], {}])
    def test_a_deadline_that_is_no_positive_number_is_a_fault(self, value):
        assert list(faults(self.config({"executionSeconds": value}))) == ["deadlines.executionSeconds"]

    @pytest.mark.parametrize("seconds", [1e-9, 29])
    def test_a_stall_shorter_than_a_server_may_be_silent_is_a_fault(self, seconds):
        assert faults(self.config({"stallSeconds": seconds})) == {
            "deadlines.stallSeconds": f"must be at least 30, not {seconds}"
        }
        assert list(faults(self.config(None, {"stallSeconds": seconds}))) == ["modelsRuntime[0].deadlines.stallSeconds"]

    def test_what_a_foreign_task_asks_for_is_raised_to_the_least(self):
        assert DEFAULT_DEADLINES.with_asked(AskedDeadlines(stall_seconds=1e-9)).stall_s == 30

    def test_every_fault_is_reported_at_once(self):
        top = {"executionSeconds": 4000, "maxStartSeconds": "soon", "startSecond": 1}
        assert set(faults(self.config(top, {"stallSeconds": 0, "maxExecutionSeconds": 5000, "startSeconds": 1}))) == {
            "deadlines.executionSeconds",
            "deadlines.maxStartSeconds",
            "deadlines.startSecond",
            "modelsRuntime[0].deadlines.stallSeconds",
        }

    @pytest.mark.parametrize("section", [[], "x", 1])
    def test_a_section_that_is_no_mapping_is_a_fault_and_no_traceback(self, section):
        assert faults(self.config(section))
        assert faults(self.config(None, section))
