"""What a pod may do to the cluster: two annotations of its own; the policy's CEL is evaluated here."""

import copy

import cel
import pytest

from queue_agent.kubernetes import BUSY_ANNOTATIONS

ACCOUNT = "system:serviceaccount:art:sdruntime"
CONTROLLER = "system:serviceaccount:kube-system:replicaset-controller"
SKIPPED = {"eks.amazonaws.com/skip-containers": "model-server"}
POD = {
    "metadata": {
        "name": "sdruntime-1",
        "labels": {"app": "sdruntime"},
        "annotations": SKIPPED,
        "ownerReferences": [{"name": "sdruntime-7d9"}],
    },
    "spec": {"containers": [{"name": "queue-agent", "image": "a"}]},
}
OTHER_POD = ["a queue agent may change no pod but its own"]
OTHER_ANNOTATION = ["a queue agent may change no annotation but pod-deletion-cost and do-not-disrupt"]
OTHER_PART = ["a queue agent may change nothing but annotations"]


@pytest.fixture
def refusals(static):
    """Give what the policy has against a change of POD; None where it is none of its business."""
    policy = static["ValidatingAdmissionPolicy"]["spec"]

    def judge(after, *, before=POD, user=ACCOUNT, pod="sdruntime-1"):
        extra = {} if pod is None else {"extra": {"authentication.kubernetes.io/pod-name": [pod]}}
        known = {"object": after, "oldObject": before, "request": {"userInfo": {"username": user, **extra}}}
        if not all(cel.evaluate(each["expression"], known) for each in policy["matchConditions"]):
            return None
        known["variables"] = {}
        for variable in policy["variables"]:
            known["variables"][variable["name"]] = cel.evaluate(variable["expression"], known)
        return [each["message"] for each in policy["validations"] if not cel.evaluate(each["expression"], known)]

    return judge


def changed(spec=None, **parts):
    """POD with other annotations, labels or whatever."""
    pod = copy.deepcopy(POD)
    pod["metadata"].update(parts)
    return {**pod, "spec": spec or pod["spec"]}


BUSY = changed(annotations={**SKIPPED, **BUSY_ANNOTATIONS})
BARE = changed()
del BARE["metadata"]["annotations"]
BARE_BUSY = changed(annotations=dict(BUSY_ANNOTATIONS))


@pytest.mark.parametrize(("before", "after"), [(POD, BUSY), (BUSY, POD), (BARE, BARE_BUSY), (BARE_BUSY, BARE)])
def test_an_agent_may_mark_its_pod_as_busy_and_as_idle_again(refusals, before, after):
    assert refusals(after, before=before) == []


@pytest.mark.parametrize("pod", ["sdruntime-2", None])
def test_it_may_mark_no_other_pod_and_a_token_of_no_pod_may_mark_none(refusals, pod):
    assert refusals(BUSY, pod=pod) == OTHER_POD


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (changed(annotations={"eks.amazonaws.com/skip-containers": ""}), OTHER_ANNOTATION),
        (changed(annotations={}), OTHER_ANNOTATION),
        (changed(annotations={**SKIPPED, "example.org/a": "b"}), OTHER_ANNOTATION),
        (changed(labels={}), OTHER_PART),
        (changed(labels={"app": "other"}), OTHER_PART),
        (changed(finalizers=["example.org/a"]), OTHER_PART),
        (changed(ownerReferences=[]), OTHER_PART),
        (changed({"containers": [{"name": "queue-agent", "image": "b"}]}), OTHER_PART),
    ],
)
def test_it_may_change_nothing_else_and_others_are_none_of_the_policys_business(refusals, after, said):
    assert refusals(after) == said
    assert refusals(after, user=CONTROLLER) is None
