"""NodePool and EC2NodeClass: the nodes that a runtime's pods run on."""

import tomllib

import pytest
from chartkit import AWS, LOCAL_DISKS

from test.kit.charts import at, merged


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def node_class(release):
    return release["EC2NodeClass"]["spec"]


def pool(release):
    return release["NodePool"]["spec"]


def requirements(release):
    return {each["key"]: each["values"] for each in pool(release)["template"]["spec"]["requirements"]}


def volumes(release):
    return {each["deviceName"]: each["ebs"] for each in node_class(release)["blockDeviceMappings"]}


def test_the_pool_makes_nodes_of_its_own_class(static):
    assert pool(static)["template"]["spec"]["nodeClassRef"] == {
        "group": "karpenter.k8s.aws",
        "kind": "EC2NodeClass",
        "name": static["EC2NodeClass"]["metadata"]["name"],
    }


def test_nodes_keep_all_others_away(static):
    taints = {each["key"]: (each["value"], each["effect"]) for each in pool(static)["template"]["spec"]["taints"]}
    assert taints == {"nvidia.com/gpu": ("true", "NoSchedule"), "sd-on-eks/runtime": ("sdruntime", "NoSchedule")}


def test_taints_of_the_operator_are_added(releases):
    keys = [each["key"] for each in pool(releases["dynamic"])["template"]["spec"]["taints"]]
    assert keys == ["nvidia.com/gpu", "sd-on-eks/runtime", "team"]


def test_no_pod_comes_before_the_node_can_mount_models(static, releases):
    assert pool(static)["template"]["spec"]["startupTaints"] == [
        {"key": "s3.csi.aws.com/agent-not-ready", "effect": "NoExecute"}
    ]


def test_a_node_without_models_waits_for_no_driver(helm):
    release = helm.template(merged(AWS, at("runtime.persistence.enabled", False)))
    assert "startupTaints" not in pool(release)["template"]["spec"]


@pytest.mark.parametrize(
    ("given", "bought"),
    [
        ({}, ["on-demand", "spot"]),
        ({"onDemand": False}, ["spot"]),
        ({"spot": False}, ["on-demand"]),
    ],
)
def test_nodes_are_bought_as_allowed(helm, given, bought):
    release = helm.template(merged(AWS, at("karpenter.provisioner.capacityType", given)))
    assert requirements(release)["karpenter.sh/capacity-type"] == bought


def test_the_defaults_are_the_references(static):
    assert requirements(static)["node.kubernetes.io/instance-type"] == ["g5.xlarge", "g5.2xlarge"]
    assert pool(static)["template"]["spec"]["expireAfter"] == "Never"
    os, data = volumes(static)["/dev/xvda"], volumes(static)["/dev/xvdb"]
    common = {"volumeType": "gp3", "deleteOnTermination": True, "encrypted": True}
    assert os == {"volumeSize": "10Gi", "iops": 3000, "throughput": 125, **common}
    assert data == {"volumeSize": "80Gi", "iops": 4000, "throughput": 1000, **common}


def test_further_requirements_labels_limits_and_tags_are_passed_on(releases):
    release = releases["dynamic"]
    assert requirements(release)["topology.kubernetes.io/zone"] == ["us-east-1a", "us-east-1b"]
    assert pool(release)["template"]["metadata"]["labels"] == {"team": "art", "sd-on-eks/runtime": "anything"}
    assert pool(release)["limits"] == {"nvidia.com/gpu": 8, "cpu": 64, "memory": "256Gi"}
    assert node_class(release)["tags"] == {"cost": "art"}


@pytest.mark.parametrize(
    ("runtime", "gpus"),
    [
        ({}, 20 + 5 + 8),
        ({"scaling": {"maxReplicaCount": 200}}, 200 + 50 + 8),
        ({"scaling": {"maxReplicaCount": 1}}, 1 + 1 + 8),
        ({"scaling": {"enabled": False}, "replicas": 4}, 4 + 1 + 8),
        ({"inferenceApi": {"resources": {"limits": {"nvidia.com/gpu": 4}}}}, 4 * (20 + 5) + 8),
        ({"inferenceApi": {"resources": {"requests": {"nvidia.com/gpu": "2"}}}}, 2 * (20 + 5) + 8),
    ],
)
def test_the_limit_has_room_for_all_pods_and_for_a_roll_out(helm, runtime, gpus):
    assert pool(helm.template(merged(AWS, {"runtime": runtime})))["limits"] == {"nvidia.com/gpu": gpus}


def test_pods_without_a_gpu_have_no_limit_of_gpus(helm):
    cpu = {"requests": {"cpu": 1}}
    assert "limits" not in pool(helm.template(merged(AWS, at("runtime.inferenceApi.resources", cpu))))


def test_limits_can_be_taken_away(helm):
    assert "limits" not in pool(helm.template(merged(AWS, at("karpenter.provisioner.resourceLimits", {}))))


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_a_node_waits_for_its_pods_as_long_as_they_may_take(releases, name):
    """Longer, and a pod would get no SIGTERM before a Spot node is gone; shorter, and its job would be cut off."""
    grace_s = releases[name].pod["spec"]["terminationGracePeriodSeconds"]
    assert pool(releases[name])["template"]["spec"]["terminationGracePeriod"] == f"{grace_s}s"


def test_empty_and_underused_nodes_go_unless_that_is_off(helm, static):
    kept = helm.template(merged(AWS, at("karpenter.provisioner.consolidation", False)))
    of = [(pool(each)["disruption"]["consolidationPolicy"], pool(each)["disruption"]["consolidateAfter"])
          for each in (static, kept)]  # fmt: skip
    assert of == [("WhenEmptyOrUnderutilized", "30s"), ("WhenEmpty", "Never")]


def test_of_nodes_in_use_one_at_a_time_is_replaced(static):
    budgets = {reason: each["nodes"] for each in pool(static)["disruption"]["budgets"] for reason in each["reasons"]}
    assert budgets == {"Empty": "100%", "Underutilized": "1", "Drifted": "1"}


def test_pods_cannot_ask_a_node_for_its_credentials(static):
    options = node_class(static)["metadataOptions"]
    assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_the_operating_system_is_pinned(static):
    assert node_class(static)["amiSelectorTerms"] == [{"alias": "bottlerocket@1.68.1"}]
    assert node_class(static)["amiFamily"] == "Bottlerocket"


def test_role_security_groups_and_subnets_are_those_given(static):
    discovery = [{"tags": {"karpenter.sh/discovery": "sdoneksStack"}}]
    assert node_class(static)["role"] == "nodes"
    assert node_class(static)["securityGroupSelectorTerms"] == discovery
    assert node_class(static)["subnetSelectorTerms"] == discovery


def test_a_snapshot_fills_the_data_volume_and_no_other(releases):
    os, data = volumes(releases["dynamic"]).values()
    assert data["snapshotID"] == "snap-0123456789"
    assert "snapshotID" not in os


@pytest.mark.parametrize(("rate", "asked"), [(250, {250}), (0, set()), (None, set())])
def test_a_volume_is_filled_at_the_rate_given_or_at_ebs_own(helm, rate, asked):
    path = "karpenter.nodeTemplate.dataVolume"
    release = helm.template(
        merged(AWS, at(f"{path}.snapshotID", "snap-0a"), at(f"{path}.volumeInitializationRate", rate))
    )
    rates = {volume.get("volumeInitializationRate") for volume in volumes(release).values()}
    assert rates - {None} == asked


def test_without_a_snapshot_nothing_is_said_of_how_fast_it_is_read(static):
    """EC2NodeClass: snapshotID must be set when volumeInitializationRate is set."""
    assert all("volumeInitializationRate" not in volume for volume in volumes(static).values())


def test_volumes_are_encrypted_with_the_key_given(releases):
    assert {volume["kmsKeyID"] for volume in volumes(releases["dynamic"]).values()} == {
        "arn:aws:kms:us-east-1:123456789012:key/1"
    }


def test_what_only_gp3_takes_is_not_said_of_other_volumes(helm):
    release = helm.template(merged(AWS, at("karpenter.nodeTemplate.osVolume.volumeType", "gp2")))
    assert volumes(release)["/dev/xvda"].keys().isdisjoint({"iops", "throughput"})


@pytest.mark.parametrize("name", ["static", "local disks"])
def test_without_a_snapshot_local_disks_hold_images_that_are_pulled_in_parallel(releases, name):
    spec = node_class(releases[name])
    settings = tomllib.loads(spec["userData"])["settings"]
    assert spec["instanceStorePolicy"] == "RAID0"
    assert settings["container-runtime"]["snapshotter"] == "soci"
    assert settings["container-runtime-plugins"]["soci-snapshotter"]["pull-mode"] == "parallel-pull-unpack"


@pytest.mark.parametrize(
    "template",
    [
        {"dataVolume": {"snapshotID": "snap-0a"}},
        {"dataVolume": {"snapshotID": "snap-0a"}, "instanceStorePolicy": "None"},
        {"instanceStorePolicy": "None"},
    ],
)
def test_with_a_snapshot_or_where_it_is_asked_for_the_data_volume_holds_them(helm, template):
    """Another snapshotter would delete the images that came with the snapshot."""
    spec = node_class(helm.template(merged(AWS, at("karpenter.nodeTemplate", template))))
    assert spec.keys().isdisjoint({"instanceStorePolicy", "userData"})


def test_user_data_is_a_template_and_stands_beside_what_local_disks_need(helm):
    release = helm.template(merged(AWS, LOCAL_DISKS, at("runtime.name", "confidentiality")))
    settings = tomllib.loads(node_class(release)["userData"])["settings"]
    assert settings["kernel"] == {"lockdown": "confidentiality"}
    assert "container-runtime" in settings


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("amiFamily", lambda release: node_class(release)["amiSelectorTerms"][0]["alias"].partition("@")[0]),
        ("snapshotID", lambda release: volumes(release)["/dev/xvdb"]["snapshotID"]),
        ("instanceType", lambda release: requirements(release)["node.kubernetes.io/instance-type"]),
        ("capacityType", lambda release: requirements(release)["karpenter.sh/capacity-type"]),
        ("nodeTemplate", lambda release: release["EC2NodeClass"]["apiVersion"]),
        ("provisioner", lambda release: release["NodePool"]["apiVersion"]),
    ],
)
def test_each_key_of_old_has_its_place_in_karpenters_present_api(releases, key, found):
    expected = {
        "amiFamily": "bottlerocket",
        "snapshotID": "snap-1234567890",
        "instanceType": ["g4dn.xlarge", "g4dn.2xlarge"],
        "capacityType": ["on-demand", "spot"],
        "nodeTemplate": "karpenter.k8s.aws/v1",
        "provisioner": "karpenter.sh/v1",
    }
    assert found(releases["china"]) == expected[key]


def test_without_karpenter_there_are_no_nodes(releases):
    assert releases["anywhere"].kinds.isdisjoint({"NodePool", "EC2NodeClass"})


@pytest.mark.parametrize("name", ["static", "dynamic", "local disks", "china"])
def test_the_rules_of_karpenters_api_hold(releases, name):
    """Of the CEL rules of NodePool and EC2NodeClass those that a release could break."""
    release = releases[name]
    spec, terms = pool(release)["template"]["spec"], node_class(release)["amiSelectorTerms"]
    assert all(values for values in requirements(release).values()), "operator 'In' must have a value defined"
    keys = [*requirements(release), *pool(release)["template"]["metadata"]["labels"]]
    assert set(keys).isdisjoint({"karpenter.sh/nodepool", "kubernetes.io/hostname"}), "label is restricted"
    assert all(spec["nodeClassRef"].values()), "may not be empty"
    assert all("schedule" not in each and "duration" not in each for each in pool(release)["disruption"]["budgets"])
    assert [set(term) for term in terms] == [{"alias"}], "'alias' is mutually exclusive"
    assert "instanceProfile" not in node_class(release), "must specify exactly one of ['role', 'instanceProfile']"
    assert node_class(release)["role"], "role cannot be empty"
    for term in (*node_class(release)["securityGroupSelectorTerms"], *node_class(release)["subnetSelectorTerms"]):
        assert all(key and value for key, value in term["tags"].items()), "empty tag keys or values aren't supported"
    for volume in volumes(release).values():
        assert volume.get("snapshotID") or volume["volumeSize"], "snapshotID or volumeSize must be defined"
