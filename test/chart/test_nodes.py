"""NodePool and EC2NodeClass: the nodes that a runtime's pods run on."""

import tomllib

import pytest
from chartkit import AWS, LOCAL_DISKS

from test.kit.charts import at, merged

PROVISIONER, TEMPLATE = "karpenter.provisioner", "karpenter.nodeTemplate"


def node_class(release):
    return release["EC2NodeClass"]["spec"]


def pool(release):
    return release["NodePool"]["spec"]


def node(release):
    return pool(release)["template"]["spec"]


def requirements(release):
    return {each["key"]: each["values"] for each in node(release)["requirements"]}


def volumes(release):
    return {each["deviceName"]: each["ebs"] for each in node_class(release)["blockDeviceMappings"]}


def test_the_pool_makes_nodes_of_its_own_class_that_keep_all_others_away(static, releases):
    name = static["EC2NodeClass"]["metadata"]["name"]
    assert node(static)["nodeClassRef"] == {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": name}
    taints = {each["key"]: (each["value"], each["effect"]) for each in node(static)["taints"]}
    assert taints == {"nvidia.com/gpu": ("true", "NoSchedule"), "sd-on-eks/runtime": ("sdruntime", "NoSchedule")}
    keys = [each["key"] for each in node(releases["dynamic"])["taints"]]
    assert keys == ["nvidia.com/gpu", "sd-on-eks/runtime", "team"]


def test_no_pod_comes_before_the_node_can_mount_models(helm, static):
    assert node(static)["startupTaints"] == [{"key": "s3.csi.aws.com/agent-not-ready", "effect": "NoExecute"}]
    without = helm.template(merged(AWS, at("runtime.persistence.enabled", False)))
    assert "startupTaints" not in node(without)


@pytest.mark.parametrize(
    ("given", "bought"),
    [({}, ["on-demand", "spot"]), ({"onDemand": False}, ["spot"]), ({"spot": False}, ["on-demand"])],
)
def test_nodes_are_bought_as_allowed(helm, given, bought):
    release = helm.template(merged(AWS, at(f"{PROVISIONER}.capacityType", given)))
    assert requirements(release)["karpenter.sh/capacity-type"] == bought


def test_the_defaults_are_the_references(static):
    assert requirements(static)["node.kubernetes.io/instance-type"] == ["g5.xlarge", "g5.2xlarge"]
    assert node(static)["expireAfter"] == "Never"
    common = {"volumeType": "gp3", "deleteOnTermination": True, "encrypted": True}
    assert volumes(static) == {
        "/dev/xvda": {"volumeSize": "10Gi", "iops": 3000, "throughput": 125, **common},
        "/dev/xvdb": {"volumeSize": "80Gi", "iops": 4000, "throughput": 1000, **common},
    }


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


@pytest.mark.parametrize(
    "changes",
    [at("runtime.inferenceApi.resources", {"requests": {"cpu": 1}}), at(f"{PROVISIONER}.resourceLimits", {})],
    ids=["no GPU is asked for", "limits are taken away"],
)
def test_there_is_no_limit_where(helm, changes):
    assert "limits" not in pool(helm.template(merged(AWS, changes)))


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_a_node_waits_for_its_pods_as_long_as_they_may_take(releases, name):
    """Longer, and a pod would get no SIGTERM before a Spot node is gone; shorter, and its job would be cut off."""
    grace_s = releases[name].pod["spec"]["terminationGracePeriodSeconds"]
    assert node(releases[name])["terminationGracePeriod"] == f"{grace_s}s"


def test_empty_and_underused_nodes_go_unless_that_is_off_and_of_those_in_use_one_at_a_time(helm, static):
    def disruption(release):
        return pool(release)["disruption"]["consolidationPolicy"], pool(release)["disruption"]["consolidateAfter"]

    kept = helm.template(merged(AWS, at(f"{PROVISIONER}.consolidation", False)))
    assert disruption(static) == ("WhenEmptyOrUnderutilized", "30s")
    assert disruption(kept) == ("WhenEmpty", "Never")
    budgets = {reason: each["nodes"] for each in pool(static)["disruption"]["budgets"] for reason in each["reasons"]}
    assert budgets == {"Empty": "100%", "Underutilized": "1", "Drifted": "1"}


def test_the_node_class_is_pinned_and_pods_cannot_ask_a_node_for_its_credentials(static):
    spec, discovery = node_class(static), [{"tags": {"karpenter.sh/discovery": "sdoneksStack"}}]
    assert (spec["metadataOptions"]["httpTokens"], spec["metadataOptions"]["httpPutResponseHopLimit"]) == (
        "required",
        1,
    )
    assert (spec["amiFamily"], spec["amiSelectorTerms"]) == ("Bottlerocket", [{"alias": "bottlerocket@1.68.1"}])
    assert spec["role"] == "nodes"
    assert spec["securityGroupSelectorTerms"] == spec["subnetSelectorTerms"] == discovery


def test_a_snapshot_fills_the_data_volume_alone_and_the_key_given_encrypts_both(releases):
    os, data = volumes(releases["dynamic"]).values()
    assert data["snapshotID"] == "snap-0123456789"
    assert "snapshotID" not in os
    assert os["kmsKeyID"] == data["kmsKeyID"] == "arn:aws:kms:us-east-1:123456789012:key/1"


@pytest.mark.parametrize(
    ("snapshot", "rate", "asked"),
    [
        ("snap-0a", 250, {250}),
        ("snap-0a", 0, set()),
        ("snap-0a", None, set()),
        (None, None, set()),  # EC2NodeClass takes a rate with a snapshot only
    ],
)
def test_a_volume_is_filled_at_the_rate_given_or_at_ebs_own(helm, snapshot, rate, asked):
    volume = {"snapshotID": snapshot, "volumeInitializationRate": rate}
    release = helm.template(merged(AWS, at(f"{TEMPLATE}.dataVolume", volume)))
    assert {volume.get("volumeInitializationRate") for volume in volumes(release).values()} - {None} == asked


def test_what_only_gp3_takes_is_not_said_of_other_volumes(helm):
    release = helm.template(merged(AWS, at(f"{TEMPLATE}.osVolume.volumeType", "gp2")))
    assert volumes(release)["/dev/xvda"].keys().isdisjoint({"iops", "throughput"})


@pytest.mark.parametrize("name", ["static", "local disks"])
def test_without_a_snapshot_local_disks_hold_images_that_are_pulled_in_parallel(releases, name):
    spec = node_class(releases[name])
    settings = tomllib.loads(spec["userData"])["settings"]
    assert spec["instanceStorePolicy"] == "RAID0"
    assert settings["container-runtime"]["snapshotter"] == "soci"
    assert settings["container-runtime-plugins"]["soci-snapshotter"]["pull-mode"] == "parallel-pull-unpack"


@pytest.mark.parametrize("policy", [{}, {"instanceStorePolicy": "None"}])
@pytest.mark.parametrize("volume", [{}, {"dataVolume": {"snapshotID": "snap-0a"}}])
def test_with_a_snapshot_or_where_it_is_asked_for_the_data_volume_holds_them(helm, policy, volume):
    """Another snapshotter would delete the images that came with the snapshot."""
    spec = node_class(helm.template(merged(AWS, at(TEMPLATE, {**policy, **volume}))))
    assert spec.keys().isdisjoint({"instanceStorePolicy", "userData"}) is bool(policy or volume)


def test_user_data_is_a_template_and_stands_beside_what_local_disks_need(helm):
    release = helm.template(merged(AWS, LOCAL_DISKS, at("runtime.name", "confidentiality")))
    settings = tomllib.loads(node_class(release)["userData"])["settings"]
    assert settings["kernel"] == {"lockdown": "confidentiality"}
    assert "container-runtime" in settings


def test_each_key_of_old_has_its_place_in_karpenters_present_api(releases):
    china = releases["china"]
    assert node_class(china)["amiSelectorTerms"][0]["alias"].startswith("bottlerocket@")
    assert volumes(china)["/dev/xvdb"]["snapshotID"] == "snap-1234567890"
    assert requirements(china)["node.kubernetes.io/instance-type"] == ["g4dn.xlarge", "g4dn.2xlarge"]
    assert requirements(china)["karpenter.sh/capacity-type"] == ["on-demand", "spot"]
    assert china["EC2NodeClass"]["apiVersion"] == "karpenter.k8s.aws/v1"
    assert china["NodePool"]["apiVersion"] == "karpenter.sh/v1"


def test_without_karpenter_there_are_no_nodes(releases):
    assert releases["anywhere"].kinds.isdisjoint({"NodePool", "EC2NodeClass"})


@pytest.mark.parametrize("name", ["static", "dynamic", "local disks", "china"])
def test_the_rules_of_karpenters_api_hold(releases, name):
    """Of the CEL rules of NodePool and EC2NodeClass those that a release could break."""
    release = releases[name]
    spec, terms = node(release), node_class(release)["amiSelectorTerms"]
    assert all(values for values in requirements(release).values()), "operator 'In' must have a value defined"
    keys = [*requirements(release), *pool(release)["template"]["metadata"]["labels"]]
    assert set(keys).isdisjoint({"karpenter.sh/nodepool", "kubernetes.io/hostname"}), "label is restricted"
    assert all(spec["nodeClassRef"].values()), "may not be empty"
    assert all("schedule" not in each and "duration" not in each for each in pool(release)["disruption"]["budgets"])
    assert [set(term) for term in terms] == [{"alias"}], "'alias' is mutually exclusive"
    assert "instanceProfile" not in node_class(release), "must specify exactly one of ['role', 'instanceProfile']"
    for term in (*node_class(release)["securityGroupSelectorTerms"], *node_class(release)["subnetSelectorTerms"]):
        assert all(key and value for key, value in term["tags"].items()), "empty tag keys or values aren't supported"
    for volume in volumes(release).values():
        assert volume.get("snapshotID") or volume["volumeSize"], "snapshotID or volumeSize must be defined"
