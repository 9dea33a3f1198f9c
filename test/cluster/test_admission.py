"""A queue agent may mark its own pod, and change nothing else."""

import itertools
from pathlib import Path

import pytest
from clusterkit.kube import ApiError
from clusterkit.programs import wait_for
from clusterkit.releases import Example, Release

from queue_agent.kubernetes import BUSY_ANNOTATIONS
from test.kit.charts import at, merged

MINE = "admission-mine"
OTHER = "admission-other"
MARKS = {"metadata": {"annotations": dict(BUSY_ANNOTATIONS)}}
_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "00000000-0000-0000-0000-000000000000"}
REFUSED = {
    "another annotation": {"metadata": {"annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}},
    "a foreign annotation taken away": {"metadata": {"annotations": {"example.org/owner": None}}},
    "a label": {"metadata": {"labels": {"app.kubernetes.io/instance": "somebody-else"}}},
    "a label taken away": {"metadata": {"labels": {"app.kubernetes.io/name": None}}},
    "a finalizer": {"metadata": {"finalizers": ["example.org/stay"]}},
    "an owner": {"metadata": {"ownerReferences": [_OWNER]}},
    "a deadline": {"spec": {"activeDeadlineSeconds": 1}},
    "an image": {"spec": {"containers": [{"name": "queue-agent", "image": "registry.example/evil"}]}},
    "a toleration": {"spec": {"tolerations": [{"operator": "Exists"}]}},
}


@pytest.fixture(scope="module")
def pods(cluster):
    """Two pods of one release, as its deployment would make them; they need not run. Gives the ways to ask."""
    name = "admission"
    example = Example(Path("config.yaml"), "comfyruntime")
    values = merged(example.values(cluster.queue(name)), at("runtime.annotations", {"example.org/owner": "art"}))
    release = Release(cluster.kube, name, cluster.scratch, values).deploy()
    template = release.deployment()["spec"]["template"]
    wait_for(lambda: cluster.kube.get("serviceaccounts", "comfyruntime", name), "the service account", 30)
    for pod in (MINE, OTHER):
        document = {"metadata": template["metadata"] | {"name": pod}, "spec": template["spec"]}
        document["spec"]["nodeSelector"] = {"no": "node"}
        cluster.kube.create("pods", document, name)
    uid = cluster.kube.get("pods", MINE, name)["metadata"]["uid"]
    bound = {"apiVersion": "v1", "kind": "Pod", "name": MINE, "uid": uid}

    asked = []

    def agent(*, is_bound=True):
        spec = {"boundObjectRef": bound} if is_bound else {}
        path = cluster.kube.path("serviceaccounts", "comfyruntime", name) + "/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        asked.append(cluster.kube.as_holder_of(cluster.kube.call("POST", path, request)["status"]["token"]))
        return asked[-1]

    tries = itertools.count()

    def the_policy_is_in_force():  # the API server takes a second; what changes nothing is never refused
        return answer(agent(), MINE, {"metadata": {"labels": {"try": str(next(tries))}}}) == 422

    try:
        wait_for(the_policy_is_in_force, "the policy is in force", 60)
        yield agent
    finally:
        for api in asked:
            api.close()
        release.remove()


def answer(kube, pod, change, content_type="application/merge-patch+json", part=""):
    """The HTTP status that a change of a pod gets."""
    try:
        kube.call("PATCH", kube.path("pods", pod, "admission") + part, change, content_type=content_type)
    except ApiError as exc:
        return exc.status
    return 200


def test_an_agent_marks_its_own_pod_and_unmarks_it(pods):
    agent = pods()
    unmarked = {"metadata": {"annotations": dict.fromkeys(BUSY_ANNOTATIONS)}}
    assert [answer(agent, MINE, change) for change in (MARKS, MARKS, unmarked, unmarked)] == [200] * 4


@pytest.mark.parametrize("what", REFUSED)
def test_an_agent_changes_nothing_else(pods, what):
    kind = "strategic-merge-patch" if what == "an image" else "merge-patch"
    assert answer(pods(), MINE, REFUSED[what], f"application/{kind}+json") == 422


def test_an_agent_marks_no_other_pod(pods):
    assert answer(pods(), OTHER, MARKS) == 422


def test_a_token_that_belongs_to_no_pod_marks_none(pods):
    assert answer(pods(is_bound=False), MINE, MARKS) == 422


def test_an_agent_has_no_right_to_the_pods_status(pods):
    assert answer(pods(), MINE, {"status": {"phase": "Succeeded"}}, part="/status") == 403
