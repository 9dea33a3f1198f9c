"""The pod: an agent, and the model server as its native sidecar."""

import json
import shlex
from pathlib import Path

import pytest
from chartkit import AWS, COMFYUI, DYNAMIC, FLUX, environment

from runtimes.flux.options import ModelOptions
from runtimes.registry import RUNTIME_TYPES
from test.kit.charts import at, merged

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def test_the_model_server_starts_before_the_agent_and_outlives_it(static):
    assert static.model_server["restartPolicy"] == "Always"
    assert "lifecycle" not in static.model_server


def test_the_model_server_is_restarted_only_after_the_agent_has_been_unhappy_with_it_for_a_minute(static):
    probe = static.model_server["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 60


def test_what_hangs_is_not_given_the_time_of_a_pod_that_ends_well(static):
    grace_s = static.pod["spec"]["terminationGracePeriodSeconds"]
    for container in (static.agent, static.model_server):
        assert container["livenessProbe"]["terminationGracePeriodSeconds"] < grace_s / 4


def test_the_agent_is_asked_whether_it_lives_and_whether_it_is_ready(static):
    assert static.agent["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert static.agent["readinessProbe"]["httpGet"]["path"] == "/readyz"


@pytest.mark.parametrize(("name", "runtime_type"), [("dynamic", "sdwebui"), ("comfyui", "comfyui"), ("flux", "flux")])
def test_a_server_without_a_checkpoint_of_its_own_has_started_when_it_answers(releases, name, runtime_type):
    release, row = releases[name], RUNTIME_TYPES[runtime_type]
    probe = release.model_server["startupProbe"]
    assert probe["httpGet"] == {"path": row.pod.health_path, "port": "model-server"}
    assert release.model_server["ports"] == [{"name": "model-server", "containerPort": row.pod.port}]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 900


def test_a_server_may_take_as_long_to_start_as_is_set(helm):
    seconds = merged(AWS, at("runtime.inferenceApi.startupSeconds", 1200))
    of_checkpoint = helm.template(seconds).model_server["startupProbe"]
    assert of_checkpoint["failureThreshold"] * float(of_checkpoint["exec"]["command"][-1]) == 1200
    of_answer = helm.template(merged(seconds, COMFYUI)).model_server["startupProbe"]
    assert of_answer["failureThreshold"] * of_answer["periodSeconds"] == 1200


def test_no_container_is_root_or_gains_rights(static):
    assert static.pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in (static.agent, static.model_server):
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_agent_writes_to_its_tmp_only(static):
    assert static.agent["securityContext"]["readOnlyRootFilesystem"] is True
    writable = [mount["mountPath"] for mount in static.agent["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]


def test_the_model_server_writes_to_its_tmp_only_where_that_is_asked_for(static, releases):
    assert static.model_server["securityContext"]["readOnlyRootFilesystem"] is False
    server = releases["anywhere"].model_server
    assert server["securityContext"]["readOnlyRootFilesystem"] is True
    assert [mount["mountPath"] for mount in server["volumeMounts"]] == ["/tmp"]


@pytest.mark.parametrize("name", ["static", "dynamic", "comfyui", "flux", "local disks", "anywhere", "fixed", "china"])
def test_no_volume_that_a_pod_writes_to_is_without_a_bound(releases, name):
    volumes = [volume for volume in releases[name].pod["spec"]["volumes"] if "emptyDir" in volume]
    assert volumes
    assert [volume["name"] for volume in volumes if not volume["emptyDir"].get("sizeLimit")] == []


def test_the_servers_tmp_may_hold_more(helm):
    release = helm.template(merged(AWS, at("runtime.inferenceApi.tmpSize", "60Gi")))
    (volume,) = [each for each in release.pod["spec"]["volumes"] if each["name"] == "server-tmp"]
    assert volume["emptyDir"] == {"sizeLimit": "60Gi"}


def test_agent_and_model_server_share_no_folder(static):
    shared = {mount["name"] for mount in static.agent["volumeMounts"]} & {
        mount["name"] for mount in static.model_server["volumeMounts"]
    }
    assert shared == set()


def test_only_the_agent_has_a_kubernetes_token(static):
    assert static.pod["spec"]["automountServiceAccountToken"] is False
    assert static["ServiceAccount"]["automountServiceAccountToken"] is False
    assert TOKEN_PATH in [mount["mountPath"] for mount in static.agent["volumeMounts"]]
    assert TOKEN_PATH not in [mount["mountPath"] for mount in static.model_server["volumeMounts"]]


def test_the_agents_token_lies_as_kubernetes_clients_expect_it(static):
    (volume,) = [volume for volume in static.pod["spec"]["volumes"] if volume["name"] == "token"]
    sources = {next(iter(source)): next(iter(source.values())) for source in volume["projected"]["sources"]}
    assert sources["serviceAccountToken"]["path"] == "token"
    assert sources["configMap"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    assert sources["downwardAPI"]["items"][0]["path"] == "namespace"


def test_pod_identity_passes_the_model_server_by(static):
    annotations = static.pod["metadata"]["annotations"]
    assert annotations["eks.amazonaws.com/skip-containers"] == static.model_server["name"]


def test_no_annotation_of_the_operator_gives_the_model_server_aws_rights(helm):
    annotations = {"eks.amazonaws.com/skip-containers": "none", "a": "b"}
    pod = helm.template(merged(AWS, at("runtime.annotations", annotations))).pod
    assert pod["metadata"]["annotations"] == {"eks.amazonaws.com/skip-containers": "model-server", "a": "b"}


def test_given_credentials_are_the_agents_alone(releases):
    release = releases["anywhere"]
    assert release.agent["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert "envFrom" not in release.model_server


def test_a_first_installation_starts_no_pods_but_those_that_always_stay(static, releases):
    assert static["Deployment"]["spec"]["replicas"] == 0
    assert releases["dynamic"]["Deployment"]["spec"]["replicas"] == 2


def test_a_number_of_pods_can_be_fixed(releases):
    assert releases["fixed"]["Deployment"]["spec"]["replicas"] == 3
    assert "ScaledObject" not in releases["fixed"].kinds


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


def test_images_are_the_releases_unless_others_are_named(static):
    assert static.model_server["image"] == "sd-on-eks/sdwebui:0.1.0"
    assert static.agent["image"] == "sd-on-eks/queue-agent:0.1.0"


def test_a_digest_goes_before_a_tag(helm):
    image = {"repository": "r.example/x", "tag": "2", "digest": f"sha256:{'0' * 64}"}
    release = helm.template(merged(AWS, at("runtime.inferenceApi.image", image)))
    assert release.model_server["image"] == f"r.example/x@sha256:{'0' * 64}"


def test_secrets_for_registries_are_named(releases):
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
@pytest.mark.parametrize("container", ["inferenceApi", "queueAgent"])
def test_further_variables_may_be_a_list_or_a_mapping(helm, container, given):
    release = helm.template(merged(AWS, at(f"runtime.{container}.extraEnv", given)))
    env = (release.model_server if container == "inferenceApi" else release.agent)["env"]
    assert env[-2:] == [{"name": "A", "value": "1"}, {"name": "B", "value": "x y"}]


@pytest.mark.parametrize(("name", "filename"), [("static", "v1-5-pruned-emaonly.safetensors"), ("dynamic", "")])
def test_the_image_is_told_where_models_are_and_which_one_to_load(releases, name, filename):
    env = {entry["name"]: entry["value"] for entry in releases[name].model_server["env"]}
    assert (env["MODELS_DIR"], env["MODEL_FILENAME"]) == ("/opt/ml/code/models", filename)


def test_a_flux_server_is_told_its_model_as_its_settings_read_it(releases):
    env = environment(releases["flux"].model_server)
    assert ModelOptions.model_validate(json.loads(env["MODEL_OPTIONS"])) == ModelOptions.model_validate(
        FLUX["runtime"]["inferenceApi"]["modelOptions"]
    )
    assert env["MODELS_FOLDER"] == "/opt/ml/code/models"


def test_a_flux_server_keeps_what_it_downloads_and_compiles_on_a_volume_of_limited_size(releases):
    (volume,) = [volume for volume in releases["flux"].pod["spec"]["volumes"] if volume["name"] == "cache"]
    (mount,) = [mount for mount in releases["flux"].model_server["volumeMounts"] if mount["name"] == "cache"]
    assert volume["emptyDir"] == {"sizeLimit": "60Gi"}
    assert not mount.get("readOnly")


def test_the_images_caches_are_where_that_volume_is(releases):
    (mount,) = [mount for mount in releases["flux"].model_server["volumeMounts"] if mount["name"] == "cache"]
    text = Path("runtimes/flux/image/Dockerfile").read_text()
    for variable in ("HF_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert f"{variable}={mount['mountPath']}/" in text


def test_a_claim_takes_the_place_of_the_cache_that_goes_with_the_pod(helm):
    values = merged(AWS, FLUX, at("runtime.inferenceApi.cache.existingClaim", "compiled"))
    (volume,) = [volume for volume in helm.template(values).pod["spec"]["volumes"] if volume["name"] == "cache"]
    assert volume == {"name": "cache", "persistentVolumeClaim": {"claimName": "compiled"}}


def test_the_token_of_a_gated_model_may_come_from_a_secret(helm):
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hugging-face", "key": "token"}}}
    values = merged(AWS, FLUX, at("runtime.inferenceApi.extraEnv", [token]))
    assert token in helm.template(values).model_server["env"]


def test_labels_of_the_operator_reach_the_pod_and_cannot_hide_it_from_its_deployment(helm):
    labels = {"team": "art", "app.kubernetes.io/instance": "other", "sd-on-eks/runtime": "other"}
    release = helm.template(merged(AWS, at("runtime.labels", labels)))
    selector = release["Deployment"]["spec"]["selector"]["matchLabels"]
    assert selector.items() <= release.pod["metadata"]["labels"].items()
    assert release.pod["metadata"]["labels"]["team"] == "art"
    assert release.pod["metadata"]["labels"]["sd-on-eks/runtime"] == "sdruntime"


def test_another_version_of_the_chart_alone_restarts_no_pod(static):
    assert set(static.pod["metadata"]["labels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "sd-on-eks/runtime",
    }


def test_models_are_mounted_read_only(static):
    (mount,) = [mount for mount in static.model_server["volumeMounts"] if mount["name"] == "models"]
    assert mount == {"name": "models", "mountPath": "/opt/ml/code/models", "readOnly": True}


def test_a_claim_of_the_operator_is_used_and_none_is_made(releases):
    release = releases["fixed"]
    (volume,) = [volume for volume in release.pod["spec"]["volumes"] if volume["name"] == "models"]
    assert volume["persistentVolumeClaim"] == {"claimName": "shared", "readOnly": True}
    assert release.kinds.isdisjoint({"PersistentVolume", "PersistentVolumeClaim"})


def test_the_runtime_and_its_service_account_may_have_other_names_than_the_release(helm):
    release = helm.template(merged(AWS, DYNAMIC), release="other")
    assert release.pod["metadata"]["labels"]["sd-on-eks/runtime"] == "anything"
    assert release.pod["spec"]["serviceAccountName"] == release["ServiceAccount"]["metadata"]["name"] == "sdruntime"
