"""Kubernetes' own programs, KEDA and Karpenter on this machine, with KWOK in place of kubelets."""

import re
import shutil

import httpx
from clusterkit import nodes
from clusterkit.aws import INTERRUPTIONS
from clusterkit.credentials import Credentials
from clusterkit.kube import Kube
from clusterkit.programs import BIN, HOME, Program

from test.kit.processes import free_port

CLUSTER = "sdoneks"
_NAMESPACES = ("keda", "karpenter")
_METRICS = {
    "apiVersion": "apiregistration.k8s.io/v1",
    "kind": "APIService",
    "metadata": {"name": "v1beta1.external.metrics.k8s.io"},
    "spec": {
        "group": "external.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
    },
}


class ControlPlane:
    """All of it, from etcd to Karpenter; ``kubeconfig`` is its administrator's."""

    def __init__(self, folder, aws):
        self._folder = folder
        self._aws = aws
        self._programs = []
        self.kube = None
        self._credentials = Credentials(folder / "credentials")
        port = free_port()
        self._server = f"https://127.0.0.1:{port}"
        self.kubeconfig = self._credentials.kubeconfig(self._server)
        try:
            self._start_kubernetes(port)
            self.kube = Kube(self.kubeconfig, folder)
            self._install()
            self._start_controllers()
        except BaseException:
            self.stop()
            raise

    def check(self):
        """Fail if one of them has ended."""
        return all(program.check() for program in self._programs)

    def failed_looks(self, namespace):
        """How often KEDA could not see how much work the ScaledObjects of a namespace have."""
        return sum(float(value) for _, value in self._keda_says("keda_scaled_object_errors_total", namespace))

    def unread_triggers(self, namespace):
        """Triggers that KEDA's formula has nil for, because they have failed too often: KEDA says -1 of them."""
        read = self._keda_says("keda_scaler_metrics_value", namespace)
        return {re.search('scaler="([^"]+)"', labels).group(1) for labels, value in read if float(value) == -1}

    def _keda_says(self, name, namespace):
        metrics = httpx.get(f"http://127.0.0.1:{self._keda_port}/metrics", trust_env=False).text
        return re.findall(rf'^{name}{{(.*namespace="{namespace}".*)}} (.+)$', metrics, re.MULTILINE)

    def stop(self):
        if self.kube is not None:
            self.kube.close()
        for program in reversed(self._programs):
            program.stop()
        self._programs.clear()
        shutil.rmtree(self._folder / "etcd", ignore_errors=True)

    def _start(self, name, *arguments, **environment):
        self._programs.append(Program(name, BIN / name, *arguments, folder=self._folder, **environment))

    def _start_kubernetes(self, port):
        path = self._credentials.path
        etcd, peers = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._start(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peers}",
            "--unsafe-no-fsync",
            "--log-level=warn",
        )
        self._start(
            "kube-apiserver",
            f"--etcd-servers={etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--endpoint-reconciler-type=none",  # a loopback address is no endpoint
            "--authorization-mode=Node,RBAC",
            f"--client-ca-file={path('ca.crt')}",
            f"--tls-cert-file={path('tls.crt')}",
            f"--tls-private-key-file={path('tls.key')}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={path('accounts.key')}",
            f"--service-account-signing-key-file={path('accounts.key')}",
            f"--requestheader-client-ca-file={path('ca.crt')}",
            "--requestheader-allowed-names=rig",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={path('tls.crt')}",
            f"--proxy-client-key-file={path('tls.key')}",
            "--profiling=false",
        )

    def _install(self):
        """What the controllers expect to find: their resource types, their namespaces, the way to the metrics."""
        self._metrics_port = free_port()
        self.kube.apply(HOME / "crds")
        for name in _NAMESPACES:
            self.kube.ensure_namespace(name)
        service = {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": self._metrics_port}]}
        metadata = {"name": "keda-metrics", "namespace": "keda"}
        self.kube.apply_documents([{"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service}])
        route = {"service": {"namespace": "keda", "name": "keda-metrics", "port": self._metrics_port}}
        self.kube.apply_documents([{**_METRICS, "spec": _METRICS["spec"] | route}])

    def _start_controllers(self):
        path = self._credentials.path
        kubeconfig = f"--kubeconfig={self.kubeconfig}"
        self._start(
            "kube-controller-manager",
            kubeconfig,
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
            f"--root-ca-file={path('ca.crt')}",
            f"--service-account-private-key-file={path('accounts.key')}",
        )
        self._start(
            "kube-scheduler",
            kubeconfig,
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            "--leader-elect=false",
        )
        self._start(
            "kwok",
            kubeconfig,
            f"--config={nodes.write_stages(HOME / 'stages', self._folder / 'stages.yaml')}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=40",
            f"--server-address=127.0.0.1:{free_port()}",
        )
        self._start_keda()
        self._start_karpenter()

    def _start_keda(self):
        certificates = self._credentials.folder
        self._keda_port, metrics = free_port(), free_port()
        environment = self._aws.environment | {
            "KUBECONFIG": str(self.kubeconfig),
            "KEDA_CLUSTER_OBJECT_NAMESPACE": "keda",
            "POD_NAMESPACE": "keda",
            "WATCH_NAMESPACE": "",
        }
        self._start(
            "keda-operator",
            f"--metrics-bind-address=127.0.0.1:{self._keda_port}",
            f"--health-probe-bind-address=127.0.0.1:{free_port()}",
            f"--metrics-service-bind-address=127.0.0.1:{metrics}",
            f"--cert-dir={certificates}",
            **environment,
        )
        self._start(
            "keda-adapter",
            f"--port={free_port()}",
            f"--secure-port={self._metrics_port}",
            "--bind-address=127.0.0.1",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--metrics-service-address=localhost:{metrics}",
            f"--authentication-kubeconfig={self.kubeconfig}",
            f"--authorization-kubeconfig={self.kubeconfig}",
            f"--lister-kubeconfig={self.kubeconfig}",
            **environment,
        )

    def _start_karpenter(self):
        self._start(
            "karpenter",
            **self._aws.environment,
            KUBECONFIG=str(self.kubeconfig),
            CLUSTER_NAME=CLUSTER,
            CLUSTER_ENDPOINT=self._server,
            EKS_CONTROL_PLANE="false",
            SYSTEM_NAMESPACE="karpenter",
            INTERRUPTION_QUEUE=INTERRUPTIONS,
            DISABLE_LEADER_ELECTION="true",
            DISABLE_DRY_RUN="true",
            METRICS_PORT=str(free_port()),
            HEALTH_PROBE_PORT=str(free_port()),
        )
