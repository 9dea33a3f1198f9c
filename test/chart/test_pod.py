"""The pod: an agent, and the model server as its native sidecar."""

import json
import shlex
from pathlib import Path

import pytest
from chartkit import AWS, COMFYUI, DYNAMIC, FLUX, NAMES, environment

from runtimes.flux.options import ModelOptions
from runtimes.registry import RUNTIME_TYPES
from test.kit.charts import at, merged

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def volume(release, name):
    (found,) = [each for each in release.pod["spec"]["volumes"] if each["name"] == name]
    return found


def mounts(container):
    return {mount["name"]: mount for mount in container["volumeMounts"]}


def test_the_model_server_starts_before_the_agent_and_outlives_it(static):
    assert static.model_server["restartPolicy"] == "Always"
    assert "lifecycle" not in static.model_server


def test_probes_ask_the_agent_and_what_hangs_gets_less_time_than_a_pod_that_ends_well(static):
    assert static.agent["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert static.agent["readinessProbe"]["httpGet"]["path"] == "/readyz"
    of_server = static.model_server["livenessProbe"]
    assert of_server["periodSeconds"] * of_server["failureThreshold"] >= 60
    grace_s = static.pod["spec"]["terminationGracePeriodSeconds"]
    for container in (static.agent, static.model_server):
        assert container["livenessProbe"]["terminationGracePeriodSeconds"] < grace_s / 4


@pytest.mark.parametrize(("name", "runtime_type"), [("dynamic", "sdwebui"), ("comfyui", "comfyui"), ("flux", "flux")])
def test_a_server_without_a_checkpoint_of_its_own_has_started_when_it_answers(releases, name, runtime_type):
    release, pod = releases[name], RUNTIME_TYPES[runtime_type].pod
    probe = release.model_server["startupProbe"]
    assert probe["httpGet"] == {"path": pod.health_path, "port": "model-server"}
    assert release.model_server["ports"] == [{"name": "model-server", "containerPort": pod.port}]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 900


def test_a_server_may_take_as_long_to_start_as_is_set(helm):
    seconds = merged(AWS, at("runtime.inferenceApi.startupSeconds", 1200))
    of_checkpoint = helm.template(seconds).model_server["startupProbe"]
    assert of_checkpoint["failureThreshold"] * float(of_checkpoint["exec"]["command"][-1]) == 1200
    of_answer = helm.template(merged(seconds, COMFYUI)).model_server["startupProbe"]
    assert of_answer["failureThreshold"] * of_answer["periodSeconds"] == 1200


@pytest.mark.parametrize("name", NAMES)
def test_no_container_is_root_or_gains_rights_and_no_volume_that_it_writes_to_is_without_a_bound(releases, name):
    release = releases[name]
    seccomp = {"seccompProfile": {"type": "RuntimeDefault"}}
    assert release.pod["spec"]["securityContext"] == {"runAsNonRoot": True, **seccomp}
    for container in (release.agent, release.model_server):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    scratch = [each for each in release.pod["spec"]["volumes"] if "emptyDir" in each]
    assert scratch
    assert all(each["emptyDir"].get("sizeLimit") for each in scratch)


def test_the_agent_writes_to_its_tmp_only_and_the_server_where_that_is_asked_for(static, releases):
    assert static.agent["securityContext"]["readOnlyRootFilesystem"] is True
    assert [each["mountPath"] for each in static.agent["volumeMounts"] if not each.get("readOnly")] == ["/tmp"]
    assert static.model_server["securityContext"]["readOnlyRootFilesystem"] is False
    server = releases["anywhere"].model_server
    assert server["securityContext"]["readOnlyRootFilesystem"] is True
    assert [each["mountPath"] for each in server["volumeMounts"]] == ["/tmp"]


def test_the_servers_tmp_may_hold_more(helm):
    release = helm.template(merged(AWS, at("runtime.inferenceApi.tmpSize", "60Gi")))
    assert volume(release, "server-tmp")["emptyDir"] == {"sizeLimit": "60Gi"}


def test_agent_and_model_server_share_no_folder_and_only_the_agent_has_a_kubernetes_token(static):
    assert mounts(static.agent).keys().isdisjoint(mounts(static.model_server))
    assert static.pod["spec"]["automountServiceAccountToken"] is False
    assert static["ServiceAccount"]["automountServiceAccountToken"] is False
    assert mounts(static.agent)["token"]["mountPath"] == TOKEN_PATH
    assert TOKEN_PATH not in [mount["mountPath"] for mount in static.model_server["volumeMounts"]]
    sources = {
        key: value for source in volume(static, "token")["projected"]["sources"] for key, value in source.items()
    }
    assert sources["serviceAccountToken"]["path"] == "token"  # as Kubernetes' clients expect it
    assert sources["configMap"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert sources["downwardAPI"]["items"][0]["path"] == "namespace"


def test_no_annotation_of_the_operator_gives_the_model_server_aws_rights(helm, static):
    annotations = {"eks.amazonaws.com/skip-containers": "none", "a": "b"}
    pod = helm.template(merged(AWS, at("runtime.annotations", annotations))).pod
    assert pod["metadata"]["annotations"] == {
        "eks.amazonaws.com/skip-containers": static.model_server["name"],
        "a": "b",
    }


def test_given_credentials_are_the_agents_alone(releases):
    release = releases["anywhere"]
    assert release.agent["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert "envFrom" not in release.model_server


@pytest.mark.parametrize(("name", "replicas"), [("static", 0), ("dynamic", 2), ("fixed", 3)])
def test_a_first_installation_starts_no_pods_but_those_that_always_stay(releases, name, replicas):
    assert releases[name]["Deployment"]["spec"]["replicas"] == replicas
    assert ("ScaledObject" in releases[name].kinds) is (name != "fixed")


def test_an_update_adds_a_quarter_and_takes_no_pod_away_before_its_successor_is_ready(static):
    assert static["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "25%", "maxUnavailable": 0}


def test_a_pod_bears_the_taints_of_its_own_nodes_and_runs_on_them_only(releases):
    release = releases["dynamic"]
    taints = release["NodePool"]["spec"]["template"]["spec"]["taints"]
    tolerated = [(each["key"], each["value"], each["effect"]) for each in release.pod["spec"]["tolerations"]]
    assert tolerated == [(each["key"], each["value"], each["effect"]) for each in taints]
    assert release.pod["spec"]["nodeSelector"] == {"karpenter.sh/nodepool": release["NodePool"]["metadata"]["name"]}


def test_without_nodes_of_its_own_a_pod_goes_where_the_operator_says(releases):
    spec = releases["anywhere"].pod["spec"]
    assert spec["nodeSelector"] == {"disk": "fast"}
    assert spec["tolerations"] == [{"key": "gpu", "operator": "Exists"}]


def test_images_are_the_releases_unless_others_are_named_and_a_digest_goes_before_a_tag(helm, releases, static):
    assert static.model_server["image"] == "sd-on-eks/sdwebui:0.1.0"
    assert static.agent["image"] == "sd-on-eks/queue-agent:0.1.0"
    digest = f"sha256:{'0' * 64}"
    image = {"repository": "r.example/x", "tag": "2", "digest": digest}
    release = helm.template(merged(AWS, at("runtime.inferenceApi.image", image)))
    assert release.model_server["image"] == f"r.example/x@{digest}"
    assert releases["dynamic"].pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize(
    "line", ["--medvram", "--a 'b c' --d=\"e f\"", "  --x   -y ", "--prompt='a \"b\" c' plain", "--json='{\"a\": 1}'"]
)
def test_command_arguments_are_split_as_a_shell_would(helm, line):
    release = helm.template(merged(AWS, at("runtime.inferenceApi.commandArguments", line)))
    assert release.model_server["args"] == shlex.split(line)


def test_without_command_arguments_the_images_own_hold(static):
    assert "args" not in static.model_server


@pytest.mark.parametrize(
    "given", [{"A": "1", "B": "x y"}, [{"name": "A", "value": "1"}, {"name": "B", "value": "x y"}]]
)
def test_further_variables_may_be_a_list_or_a_mapping(helm, given):
    containers = {container: {"extraEnv": given} for container in ("inferenceApi", "queueAgent")}
    release = helm.template(merged(AWS, {"runtime": containers}))
    for container in (release.model_server, release.agent):
        assert container["env"][-2:] == [{"name": "A", "value": "1"}, {"name": "B", "value": "x y"}]


@pytest.mark.parametrize(("name", "filename"), [("static", "v1-5-pruned-emaonly.safetensors"), ("dynamic", "")])
def test_the_image_is_told_where_models_are_and_which_one_to_load(releases, name, filename):
    env = environment(releases[name].model_server)
    assert (env["MODELS_DIR"], env["MODEL_FILENAME"]) == ("/opt/ml/code/models", filename)


def test_a_flux_server_is_told_its_model_as_its_settings_read_it(releases):
    env, given = environment(releases["flux"].model_server), FLUX["runtime"]["inferenceApi"]["modelOptions"]
    assert ModelOptions.model_validate(json.loads(env["MODEL_OPTIONS"])) == ModelOptions.model_validate(given)
    assert env["MODELS_FOLDER"] == "/opt/ml/code/models"


def test_a_flux_server_keeps_what_it_downloads_and_compiles_on_a_volume_of_limited_size_or_a_claim(helm, releases):
    mount = mounts(releases["flux"].model_server)["cache"]
    assert volume(releases["flux"], "cache")["emptyDir"] == {"sizeLimit": "60Gi"}
    assert not mount.get("readOnly")
    text = Path("runtimes/flux/image/Dockerfile").read_text()
    for variable in ("HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert f"{variable}={mount['mountPath']}/" in text
    claimed = helm.template(merged(AWS, FLUX, at("runtime.inferenceApi.cache.existingClaim", "compiled")))
    assert volume(claimed, "cache") == {"name": "cache", "persistentVolumeClaim": {"claimName": "compiled"}}


def test_the_token_of_a_gated_model_may_come_from_a_secret(helm):
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hugging-face", "key": "token"}}}
    assert token in helm.template(merged(AWS, FLUX, at("runtime.inferenceApi.extraEnv", [token]))).model_server["env"]


def test_labels_of_the_operator_reach_the_pod_and_cannot_hide_it_from_its_deployment(helm, static):
    labels = {"team": "art", "app.kubernetes.io/instance": "other", "sd-on-eks/runtime": "other"}
    release = helm.template(merged(AWS, at("runtime.labels", labels)))
    selector = release["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= release.pod["metadata"]["labels"].items()
    assert release.pod["metadata"]["labels"] == {**static.pod["metadata"]["labels"], "team": "art"}
    # None of them names the chart's version, which alone restarts no pod.
    own = {"app.kubernetes.io/name", "app.kubernetes.io/instance", "sd-on-eks/runtime"}
    assert set(static.pod["metadata"]["labels"]) == own


def test_models_are_mounted_read_only(static):
    mount = {"name": "models", "mountPath": "/opt/ml/code/models", "readOnly": True}
    assert mounts(static.model_server)["models"] == mount


def test_a_claim_of_the_operator_is_used_and_none_is_made(releases):
    release = releases["fixed"]
    assert volume(release, "models")["persistentVolumeClaim"] == {"claimName": "shared", "readOnly": True}
    assert release.kinds.isdisjoint({"PersistentVolume", "PersistentVolumeClaim"})


def test_the_runtime_and_its_service_account_may_have_other_names_than_the_release(helm):
    release = helm.template(merged(AWS, DYNAMIC), release="other")
    assert release.pod["metadata"]["labels"]["sd-on-eks/runtime"] == "anything"
    assert release.pod["spec"]["serviceAccountName"] == release["ServiceAccount"]["metadata"]["name"] == "sdruntime"
