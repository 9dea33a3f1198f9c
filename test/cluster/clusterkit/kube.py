"""The Kubernetes API in plain JSON, and kubectl for what it does better."""

import base64
import contextlib
import json
import ssl
import subprocess

import httpx
from clusterkit.programs import Program, wait_for

from test.kit.charts import tool
from test.kit.processes import free_port

_MERGE = "application/merge-patch+json"
_PATHS = {
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "pods": "/api/v1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "persistentvolumes": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "deployments": "/apis/apps/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "scaledobjects": "/apis/keda.sh/v1alpha1",
    "nodepools": "/apis/karpenter.sh/v1",
    "nodeclaims": "/apis/karpenter.sh/v1",
    "ec2nodeclasses": "/apis/karpenter.k8s.aws/v1",
}


class ApiError(Exception):
    """The API refused something; ``status`` is HTTP's."""

    def __init__(self, response):
        super().__init__(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
        self.status = response.status_code


class Api:
    """One user's way to the API."""

    def __init__(self, client):
        self._client = client

    def call(self, method, path, body=None, *, content_type="application/json", query=()):
        """Give the answer's JSON; raises ApiError."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        response = self._client.request(method, path, content=content, headers=headers, params=dict(query))
        if response.is_error:
            raise ApiError(response)
        return response.json()

    def path(self, kind, name=None, namespace=None):
        parts = [_PATHS[kind], *(["namespaces", namespace] if namespace else []), kind, *([name] if name else [])]
        return "/".join(parts)

    def close(self):
        self._client.close()


class Kube(Api):
    """A cluster, as the user of a kubeconfig sees it: ``kubectl proxy`` knows every way to log in."""

    def __init__(self, kubeconfig, folder):
        self.kubeconfig = kubeconfig
        port = free_port()
        arguments = ("--kubeconfig", kubeconfig, "proxy", "--port", port, "--reject-methods=")
        self._proxy = Program("kubectl-proxy", tool("kubectl"), *arguments, folder=folder)
        super().__init__(httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30))
        wait_for(lambda: self._proxy.check() and self._is_ready(), "the API server is ready", 120)

    def close(self):
        super().close()
        self._proxy.stop()

    def as_holder_of(self, token):
        """The same API as a service account sees it; to be closed."""
        view = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--output", "json").stdout)
        cluster = view["clusters"][0]["cluster"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return Api(
            httpx.Client(
                base_url=cluster["server"],
                headers={"Authorization": f"Bearer {token}"},
                verify=ssl.create_default_context(cadata=authority),
                timeout=30,
            )
        )

    def _is_ready(self):
        with contextlib.suppress(httpx.HTTPError):
            return self._client.get("/readyz").is_success
        return False

    def list(self, kind, namespace=None, labels=""):
        query = [("labelSelector", labels)] if labels else []
        return self.call("GET", self.path(kind, namespace=namespace), query=query)["items"]

    def get(self, kind, name, namespace=None):
        """Give one object, or None."""
        try:
            return self.call("GET", self.path(kind, name, namespace))
        except ApiError as exc:
            if exc.status != 404:
                raise
            return None

    def create(self, kind, document, namespace=None):
        return self.call("POST", self.path(kind, namespace=namespace), document)

    def patch(self, kind, name, change, namespace=None):
        return self.call("PATCH", self.path(kind, name, namespace), change, content_type=_MERGE)

    def delete(self, kind, name, namespace=None, *, grace_s=None):
        """Delete what may be gone already."""
        query = [] if grace_s is None else [("gracePeriodSeconds", grace_s)]
        try:
            self.call("DELETE", self.path(kind, name, namespace), query=query)
        except ApiError as exc:
            if exc.status != 404:
                raise

    def ensure_namespace(self, name):
        if self.get("namespaces", name) is None:
            self.create("namespaces", {"metadata": {"name": name}})

    def kubectl(self, *arguments, given=None):
        """Give the finished process."""
        command = [tool("kubectl"), "--kubeconfig", self.kubeconfig, *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=False)

    def apply(self, folder):
        done = self.kubectl("apply", "--server-side", "--filename", folder)
        assert done.returncode == 0, done.stderr
        done = self.kubectl("wait", "--for=condition=Established", "--filename", folder, "--timeout=60s")
        assert done.returncode == 0, done.stderr

    def apply_documents(self, documents):
        given = "\n".join(json.dumps(document) for document in documents)
        done = self.kubectl("apply", "--server-side", "--filename", "-", given=given)
        assert done.returncode == 0, done.stderr
