"""Where the Kubernetes API is: looked up at installation, from a server that knows just enough for that."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from chartkit import AWS, FIXED

from test.kit.charts import at, merged

RESOURCES = {
    "v1": {
        "PersistentVolume": "persistentvolumes",
        "PersistentVolumeClaim": "persistentvolumeclaims",
        "Service": "services",
        "ServiceAccount": "serviceaccounts",
    },
    "apps/v1": {"Deployment": "deployments"},
    "discovery.k8s.io/v1": {"EndpointSlice": "endpointslices"},
    "networking.k8s.io/v1": {"NetworkPolicy": "networkpolicies"},
    "rbac.authorization.k8s.io/v1": {"Role": "roles", "RoleBinding": "rolebindings"},
    "admissionregistration.k8s.io/v1": {
        "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    },
}


def endpoint_slice(service, *addresses):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": "default", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": list(addresses)}],
    }


def answers():
    """What the server says, by path."""
    groups = [version.split("/") for version in RESOURCES if "/" in version]
    said = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/apis": {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [
                {"name": group, "versions": [{"groupVersion": f"{group}/{version}", "version": version}]}
                for group, version in groups
            ],
        },
        "/api/v1/namespaces/default/services/kubernetes": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"clusterIP": "172.20.0.1"},
        },
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSliceList",
            "items": [endpoint_slice("kubernetes", "10.0.1.7", "10.0.2.9"), endpoint_slice("shop", "10.0.3.3")],
        },
    }
    for version, kinds in RESOURCES.items():
        listed = [{"name": name, "kind": kind, "namespaced": True, "verbs": ["get"]} for kind, name in kinds.items()]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        said[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": listed}
    return said


class Api(BaseHTTPRequestHandler):
    said = answers()

    def do_GET(self):
        answer = self.said.get(self.path.partition("?")[0])
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer or {"kind": "Status", "status": "Failure", "code": 404}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cluster():
    """Arguments that lead helm to the server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    yield ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", address)
    server.shutdown()
    server.server_close()


PLAIN = merged(AWS, FIXED, {"karpenter": {"enabled": False}}, at("runtime.networkPolicy.enabled", True))
"""No custom resources, which the server does not know."""


def cidrs(release):
    """Where the pod may go for the Kubernetes API."""
    return [
        [peer["ipBlock"]["cidr"] for peer in rule["to"]]
        for rule in release["NetworkPolicy"]["spec"]["egress"]
        if {"protocol": "TCP", "port": 6443} in rule.get("ports", [])
    ]


def test_the_service_and_the_servers_behind_it_are_found(helm, cluster):
    assert cidrs(helm.template(PLAIN, arguments=cluster)) == [["172.20.0.1/32", "10.0.1.7/32", "10.0.2.9/32"]]


def test_addresses_given_by_the_operator_are_not_looked_up(helm, cluster):
    given = at("runtime.networkPolicy.kubernetesApiCidrs", ["10.1.0.0/28"])
    assert cidrs(helm.template(merged(PLAIN, given), arguments=cluster)) == [["10.1.0.0/28"]]


def test_without_a_cluster_to_ask_none_is_opened(helm):
    assert cidrs(helm.template(PLAIN)) == []
