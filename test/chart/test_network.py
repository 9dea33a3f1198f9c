"""NetworkPolicy: what a pod reaches, and who reaches it."""

from ipaddress import ip_address, ip_network

import pytest
from chartkit import AWS

from test.kit.charts import at, merged


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


@pytest.mark.parametrize(
    ("name", "address", "ports"),
    [
        *(("static", public, [None]) for public in ("52.94.0.1", "3.5.140.1", "172.15.255.255", "100.128.0.1")),
        *(("static", private, []) for private in ("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255")),
        *(("static", private, []) for private in ("192.168.1.1", "100.64.0.1", "127.0.0.1", "169.254.169.254")),
        *(("static", private, []) for private in ("169.254.170.2", "0.0.0.0", "198.18.0.1", "224.0.0.1")),
        ("static", "255.255.255.255", []),
        ("static", "169.254.170.23", [[80]]),  # the Pod Identity agent
        ("static", "169.254.20.10", [[53, 53]]),  # NodeLocal DNSCache
        ("anywhere", "10.96.0.1", [[443, 6443]]),  # the Kubernetes API, where it is said to be
        ("anywhere", "10.96.0.2", []),
    ],
)
def test_public_addresses_are_reached_and_of_private_ones_only_what_a_pod_needs(releases, name, address, ports):
    assert rules_to(releases[name], address) == ports


@pytest.mark.parametrize(
    ("url", "reached"),
    [
        ("http://collector.observability:4318", {"observability": [4318]}),
        ("http://collector.observability.svc:4318", {"observability": [4318]}),
        ("http://collector.observability.svc.cluster.local:4318/v1", {"observability": [4318]}),
        ("http://collector:4318", {"art": [4318]}),
        ("https://collector.observability", {"observability": [443]}),
        ("http://collector.observability", {"observability": [80]}),
        ("https://otlp.eu.example.com", {}),
        ("http://10.1.2.3:4318", {}),
    ],
)
@pytest.mark.parametrize("value", ["otlpEndpoint", "awsEndpointUrl"])
def test_a_service_in_the_cluster_is_reached_on_its_port_and_one_elsewhere_opens_nothing(helm, value, url, reached):
    release = helm.template(merged(AWS, at(f"runtime.queueAgent.{value}", url)))
    assert namespaces(release) == {"kube-system": [53, 53], **reached}
    assert rules_to(release, "10.1.2.3") == []
