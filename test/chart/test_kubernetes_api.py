"""Where the Kubernetes API is: looked up at installation, from a server that knows just enough for that."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from chartkit import AWS, FIXED

from test.kit.charts import at, merged

PLAIN = merged(AWS, FIXED, {"karpenter": {"enabled": False}}, at("runtime.networkPolicy.enabled", True))
"""No custom resources, which the server does not know."""
ANSWERS = yaml.safe_load(Path(__file__).with_name("kubernetes-api.yaml").read_text(encoding="utf-8"))
"""What the server says, by path."""


class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = ANSWERS.get(self.path.partition("?")[0])
        self.send_response(200 if answer else 404)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer or {"kind": "Status", "status": "Failure", "code": 404}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def cluster():
    """Arguments that lead helm to the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        yield ("--dry-run=server", "--disable-openapi-validation", "--kube-apiserver", address)
        server.shutdown()


def cidrs(release):
    """Where the pod may go for the Kubernetes API."""
    return [
        [peer["ipBlock"]["cidr"] for peer in rule["to"]]
        for rule in release["NetworkPolicy"]["spec"]["egress"]
        if {"protocol": "TCP", "port": 6443} in rule.get("ports", [])
    ]


def test_the_service_and_the_servers_behind_it_are_found_unless_the_operator_names_addresses(helm, cluster):
    assert cidrs(helm.template(PLAIN, arguments=cluster)) == [["172.20.0.1/32", "10.0.1.7/32", "10.0.2.9/32"]]
    given = at("runtime.networkPolicy.kubernetesApiCidrs", ["10.1.0.0/28"])
    assert cidrs(helm.template(merged(PLAIN, given), arguments=cluster)) == [["10.1.0.0/28"]]


def test_without_a_cluster_to_ask_none_is_opened(helm):
    assert cidrs(helm.template(PLAIN)) == []
