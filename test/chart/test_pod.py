"""What of pods and nodes depends on more than values: on runtime types, images, and each other."""

import json
import shlex
import tomllib
from pathlib import Path

import pytest
from chartkit import AWS, FLUX, LOCAL_DISKS, NAMES, environment

from runtimes.flux.options import ModelOptions
from runtimes.registry import RUNTIME_TYPES
from test.kit.charts import at, merged


@pytest.mark.parametrize("name", ["static", "dynamic", "comfyui", "flux"])
def test_a_server_listens_where_its_type_does_and_the_agent_waits_for_the_one_checkpoint_that_is_loaded(releases, name):
    release = releases[name]
    pod = RUNTIME_TYPES[environment(release.agent)["RUNTIME_TYPE"]].pod
    assert release.model_server["ports"] == [{"name": "model-server", "containerPort": pod.port}]
    awaited = environment(release.agent).get("MODEL_FILENAME")
    assert awaited == (environment(release.model_server)["MODEL_FILENAME"] if name == "static" else None)


@pytest.mark.parametrize("name", NAMES)
def test_no_container_is_root_or_gains_rights_and_no_volume_that_it_writes_to_is_without_a_bound(releases, name):
    release = releases[name]
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert release.pod["spec"]["securityContext"] == {"runAsNonRoot": True, **seccomp}
    for container in release.containers:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    scratch = [each for each in release.pod["spec"]["volumes"] if "emptyDir" in each]
    assert scratch
    assert all(each["emptyDir"].get("sizeLimit") for each in scratch)


@pytest.mark.parametrize(
    "line", ["--medvram", "--a 'b c' --d=\"e f\"", "  --x   -y ", "--prompt='a \"b\" c' plain", "--json='{\"a\": 1}'"]
)
def test_command_arguments_are_split_as_a_shell_would(helm, line):
    release = helm.template(merged(AWS, at("runtime.inferenceApi.commandArguments", line)))
    assert release.model_server["args"] == shlex.split(line)


def test_a_flux_server_is_told_its_model_as_its_settings_read_it_and_its_images_caches_are_on_the_volume(releases):
    env, given = environment(releases["flux"].model_server), FLUX["runtime"]["inferenceApi"]["modelOptions"]
    assert ModelOptions.model_validate(json.loads(env["MODEL_OPTIONS"])) == ModelOptions.model_validate(given)
    [mount] = [one for one in releases["flux"].model_server["volumeMounts"] if one["name"] == "cache"]
    text = Path("runtimes/flux/image/Dockerfile").read_text()
    for variable in ("HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert f"{variable}={mount['mountPath']}/" in text


def test_a_managed_runtimes_pod_is_the_agent_alone_on_any_node(releases):
    release = releases["managed"]
    assert not {"NodePool", "EC2NodeClass", "PersistentVolume", "PersistentVolumeClaim"} & release.kinds
    spec = release.pod["spec"]
    assert release.model_server is None
    assert not {"nodeSelector", "tolerations", "initContainers"} & spec.keys()
    assert {volume["name"] for volume in spec["volumes"]} == {"agent-tmp", "token"}
    assert release.agent["resources"]["requests"]["cpu"] == "100m"
    assert "nvidia" not in json.dumps(release.all)
    assert release.pod["metadata"]["annotations"] == {"example.org/owner": "art"}
    [spread] = spec["topologySpreadConstraints"]
    assert (spread["topologyKey"], spread["whenUnsatisfiable"]) == ("kubernetes.io/hostname", "ScheduleAnyway")
    assert spread["labelSelector"]["matchLabels"].items() <= release.pod["metadata"]["labels"].items()
    assert release["Deployment"]["spec"]["progressDeadlineSeconds"] == 900


def test_a_node_waits_for_its_pods_as_long_as_they_may_take(releases):
    """Longer, and a pod would get no SIGTERM before a Spot node is gone; shorter, and its job would be cut off."""
    release = releases["dynamic"]
    node, pod = release["NodePool"]["spec"]["template"]["spec"], release.pod["spec"]
    assert node["terminationGracePeriod"] == f"{pod['terminationGracePeriodSeconds']}s"


@pytest.mark.parametrize(
    ("more", "kernel"),
    [({}, None), (merged(LOCAL_DISKS, at("runtime.name", "confidentiality")), {"lockdown": "confidentiality"})],
)
def test_local_disks_hold_images_that_are_pulled_in_parallel_and_user_data_is_a_template_beside(helm, more, kernel):
    spec = helm.template(merged(AWS, more))["EC2NodeClass"]["spec"]
    settings = tomllib.loads(spec["userData"])["settings"]
    assert spec["instanceStorePolicy"] == "RAID0"
    assert settings["container-runtime"]["snapshotter"] == "soci"
    assert settings["container-runtime-plugins"]["soci-snapshotter"]["pull-mode"] == "parallel-pull-unpack"
    assert settings.get("kernel") == kernel
