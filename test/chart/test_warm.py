"""What makes a new node quick: images that it gets before it can take pods, and nodes that are there already."""

import subprocess
import sys

import kubernetes_validate
import pytest
from chartkit import AWS, environment

from configuration.chart_values import ChartValues
from test.kit.charts import at, merged

HOURS = [
    {"start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "timezone": "Europe/Berlin"},
    {"start": "0 9 * * 6", "end": "0 12 * * 6"},
]


def named(release, kind, ending=""):
    """The one document of a kind and a name."""
    (found,) = [
        each for each in release.all if each["kind"] == kind and each["metadata"]["name"] == f"sdruntime{ending}"
    ]
    return found


@pytest.fixture(scope="module")
def warm(helm):
    """Gives a release that keeps nodes."""
    return lambda **settings: helm.template(merged(AWS, at("runtime.scaling.warm", settings)))


@pytest.mark.parametrize("name", ["static", "dynamic", "comfyui", "flux"])
def test_a_new_node_gets_the_images_and_reads_their_libraries_before_it_has_network_and_storage(releases, name):
    release = releases[name]
    spec = release["DaemonSet"]["spec"]["template"]["spec"]
    reader, holder = *spec["initContainers"], *spec["containers"]
    assert [reader["image"], holder["image"]] == [release.model_server["image"], release.agent["image"]]
    assert spec["hostNetwork"] is True
    assert spec["tolerations"] == [{"operator": "Exists"}]
    assert "volumes" not in spec
    assert spec["affinity"] == release.pod["spec"]["affinity"]
    assert spec.get("imagePullSecrets") == release.pod["spec"].get("imagePullSecrets")


def test_the_images_pod_takes_no_gpu_and_no_right_and_nearly_nothing_from_the_runtimes_own(releases):
    spec = releases["static"]["DaemonSet"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert environment(spec["initContainers"][0]) == {"NVIDIA_VISIBLE_DEVICES": "void"}
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["resources"] == {"requests": {"cpu": "10m", "memory": "32Mi"}}
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("name", ["anywhere", "managed"])
def test_nodes_that_are_not_the_runtimes_own_get_nothing(releases, name):
    assert not {"DaemonSet", "PriorityClass"} & releases[name].kinds


def test_every_file_that_can_be_read_is_read_and_what_is_missing_does_no_harm(releases, tmp_path):
    """It reads a FIFO to its end, so that its writer gets rid of all."""
    script = releases["static"]["DaemonSet"]["spec"]["template"]["spec"]["initContainers"][0]["command"][2]
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "no.pyc").write_bytes(b"x")
    (tmp_path / "lib" / "no.pyc").chmod(0)
    (tmp_path / "lib" / "gone").symlink_to("nowhere")
    fifo = tmp_path / "lib" / "deep" / "one.so"
    subprocess.run(["mkfifo", fifo], check=True)
    command = [sys.executable, "-c", script, str(tmp_path / "absent"), str(tmp_path / "lib")]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as reading:
        fifo.write_bytes(bytes(3 << 20))
        assert reading.communicate(timeout=60)[1] == b""
    assert reading.returncode == 0


def test_placeholders_fit_where_the_runtimes_pods_fit_and_give_way_to_them_at_once(warm):
    release = warm(nodes=2)
    own = named(release, "Deployment")["spec"]["template"]["spec"]
    spec = named(release, "Deployment", "-warm")["spec"]["template"]["spec"]
    assert (spec["affinity"], spec["tolerations"]) == (own["affinity"], own["tolerations"])
    asked = [container["resources"] for container in spec["containers"]]
    assert asked == [container["resources"] for container in (*own["initContainers"], *own["containers"])]
    assert {container["image"] for container in spec["containers"]} == {own["containers"][0]["image"]}
    assert spec["terminationGracePeriodSeconds"] == 0
    priority = release["PriorityClass"]
    assert spec["priorityClassName"] == priority["metadata"]["name"] == "art-sdruntime-warm"
    assert priority["value"] < 0
    assert priority["preemptionPolicy"] == "Never"
    assert "priorityClassName" not in own


def test_placeholders_do_not_count_as_pods_of_the_runtime(warm):
    release = warm(nodes=2)
    own = named(release, "Deployment")["spec"]["selector"]["matchLabels"].items()
    for other in (named(release, "Deployment", "-warm"), release["DaemonSet"]):
        labels = other["spec"]["template"]["metadata"]["labels"]
        assert not own <= labels.items()
        assert other["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize(("hours", "least"), [([], 3), (HOURS, 0)])
def test_nodes_are_kept_always_or_by_the_hours_given(warm, hours, least):
    release = warm(nodes=3, schedule=hours)
    spec = named(release, "ScaledObject", "-warm")["spec"]
    assert spec["scaleTargetRef"]["name"] == "sdruntime-warm"
    assert "replicas" not in named(release, "Deployment", "-warm")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (least, 3)
    crons = [trigger["metadata"] for trigger in spec["triggers"]]
    assert {cron["desiredReplicas"] for cron in crons} == {"3"}
    if hours:
        assert [(cron["start"], cron["end"], cron["timezone"]) for cron in crons] == [
            ("0 8 * * 1-5", "0 18 * * 1-5", "Europe/Berlin"),
            ("0 9 * * 6", "0 12 * * 6", "UTC"),
        ]


def test_the_pool_has_room_for_placeholders_beside_all_pods(warm):
    gpus = [
        named_pool["spec"]["limits"]["nvidia.com/gpu"]
        for nodes in (0, 3)
        for named_pool in warm(nodes=nodes).all
        if named_pool["kind"] == "NodePool"
    ]
    assert gpus[-1] - gpus[0] == 3


def test_kubernetes_and_keda_take_them(warm, errors_of_custom_resources):
    release = warm(nodes=1, schedule=HOURS)
    for kind, ending in (("DaemonSet", "-images"), ("Deployment", "-warm")):
        kubernetes_validate.validate(named(release, kind, ending), "1.36.0", strict=True)
    kubernetes_validate.validate(release["PriorityClass"], "1.36.0", strict=True)
    assert errors_of_custom_resources([named(release, "ScaledObject", "-warm")]) == [[]]


@pytest.mark.parametrize(("off", "value"), [("runtime.scaling.enabled", False), ("karpenter.enabled", False)])
def test_only_a_runtime_that_is_scaled_on_nodes_of_its_own_keeps_some(helm, off, value):
    values = (at("runtime.scaling.warm.nodes", 1), at(off, value))
    assert "runtime.scaling.warm.nodes: set it to 0" in helm.refusal(merged(AWS, *values))
    with pytest.raises(ValueError, match="keeps some"):
        ChartValues.model_validate(merged(*values))
