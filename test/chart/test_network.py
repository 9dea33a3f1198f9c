"""NetworkPolicy: what a pod reaches, and who reaches it."""

from ipaddress import ip_address, ip_network

import pytest
from chartkit import AWS

from test.kit.charts import at, merged


@pytest.fixture(scope="module")
def static(releases):
    return releases["static"]


def rules_to(release, address):
    """Ports of the rules that let an address through; None stands for every port."""
    found = []
    for rule in release["NetworkPolicy"]["spec"]["egress"]:
        for block in (peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer):
            inside = ip_address(address) in ip_network(block["cidr"])
            if inside and not any(ip_address(address) in ip_network(one) for one in block.get("except", [])):
                found.append([port["port"] for port in rule["ports"]] if "ports" in rule else None)
    return found


def namespaces(release):
    """Ports by the namespace that may be reached."""
    return {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]: [
            each["port"] for each in rule["ports"]
        ]
        for rule in release["NetworkPolicy"]["spec"]["egress"]
        for peer in rule["to"]
        if "namespaceSelector" in peer
    }


def test_the_policy_is_for_the_releases_pods(static):
    selector = static["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert selector.items() <= static.pod["metadata"]["labels"].items()
    assert len(selector) == 2


@pytest.mark.parametrize("address", ["52.94.0.1", "3.5.140.1", "172.15.255.255", "100.128.0.1"])
def test_public_addresses_are_reached(static, address):
    assert rules_to(static, address) == [None]


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1"),
        *("169.254.169.254", "169.254.170.2", "0.0.0.0", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
    ],
)
def test_private_addresses_are_not(static, address):
    assert rules_to(static, address) == []


def test_the_pod_identity_agent_is_reached_where_it_answers_only(static):
    assert rules_to(static, "169.254.170.23") == [[80]]


def test_names_are_resolved_by_the_cluster(static):
    assert namespaces(static) == {"kube-system": [53, 53]}
    assert rules_to(static, "169.254.20.10") == [[53, 53]]


def test_the_kubernetes_api_is_reached_where_it_is_said_to_be(releases):
    assert rules_to(releases["anywhere"], "10.96.0.1") == [[443, 6443]]
    assert rules_to(releases["anywhere"], "10.96.0.2") == []


@pytest.mark.parametrize(
    ("url", "namespace", "port"),
    [
        ("http://collector.observability:4318", "observability", 4318),
        ("http://collector.observability.svc:4318", "observability", 4318),
        ("http://collector.observability.svc.cluster.local:4318/v1", "observability", 4318),
        ("http://collector:4318", "art", 4318),
        ("https://collector.observability", "observability", 443),
        ("http://collector.observability", "observability", 80),
    ],
)
@pytest.mark.parametrize("value", ["otlpEndpoint", "awsEndpointUrl"])
def test_a_service_in_the_cluster_is_reached_on_its_port(helm, value, url, namespace, port):
    release = helm.template(merged(AWS, at(f"runtime.queueAgent.{value}", url)))
    assert namespaces(release)[namespace] == [port]


@pytest.mark.parametrize("url", ["https://otlp.eu.example.com", "http://10.1.2.3:4318"])
def test_a_service_elsewhere_opens_nothing(helm, url):
    release = helm.template(merged(AWS, at("runtime.queueAgent.otlpEndpoint", url)))
    assert set(namespaces(release)) == {"kube-system"}
    assert rules_to(release, "10.1.2.3") == []


def test_what_else_is_needed_can_be_added(helm):
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 443}]}
    release = helm.template(merged(AWS, at("runtime.networkPolicy.extraEgress", [rule])))
    assert rules_to(release, "10.0.1.2") == [[443]]


def test_nobody_reaches_the_pod(static):
    policy = static["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["ingress"] == []


def test_the_policy_can_be_left_to_others(releases):
    assert "NetworkPolicy" not in releases["fixed"].kinds
