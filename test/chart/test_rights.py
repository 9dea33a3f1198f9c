"""What a pod may do to the cluster: two annotations of its own; the policy's CEL is evaluated here."""

import copy

import cel
import pytest

from queue_agent.kubernetes import BUSY_ANNOTATIONS

ACCOUNT = "system:serviceaccount:art:sdruntime"
POD = {
    "metadata": {
        "name": "sdruntime-1",
        "labels": {"app": "sdruntime"},
        "annotations": {"eks.amazonaws.com/skip-containers": "model-server"},
        "ownerReferences": [{"name": "sdruntime-7d9"}],
    },
    "spec": {"containers": [{"name": "queue-agent", "image": "a"}]},
}


@pytest.fixture(scope="module")
def policy(releases):
    return releases["static"]["ValidatingAdmissionPolicy"]["spec"]


@pytest.fixture
def refusals(policy):
    """Give what the policy has against a change of POD."""

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


def changed(**parts):
    """POD with other annotations, labels or whatever."""
    pod = copy.deepcopy(POD)
    pod["metadata"].update({key: value for key, value in parts.items() if key != "spec"})
    return {**pod, **({"spec": parts["spec"]} if "spec" in parts else {})}


def with_annotations(**_more):
    return changed(annotations={**POD["metadata"]["annotations"], **_more})


def test_an_agent_may_mark_its_pod_as_busy_and_as_idle_again(refusals):
    busy = with_annotations(**BUSY_ANNOTATIONS)
    assert refusals(busy) == []
    assert refusals(POD, before=busy) == []


def test_a_pod_without_annotations_can_be_marked_too(refusals):
    bare = changed()
    del bare["metadata"]["annotations"]
    marked = changed(annotations=dict(BUSY_ANNOTATIONS))
    assert refusals(marked, before=bare) == []
    assert refusals(bare, before=marked) == []


def test_it_may_mark_no_other_pod(refusals):
    assert refusals(with_annotations(**BUSY_ANNOTATIONS), pod="sdruntime-2") == [
        "a queue agent may change no pod but its own"
    ]


def test_a_token_that_is_of_no_pod_may_change_none(refusals):
    assert refusals(with_annotations(**BUSY_ANNOTATIONS), pod=None) == ["a queue agent may change no pod but its own"]


@pytest.mark.parametrize(
    "annotations",
    [
        {"eks.amazonaws.com/skip-containers": ""},
        {},
        {**POD["metadata"]["annotations"], "example.org/a": "b"},
    ],
)
def test_it_may_change_add_and_remove_no_other_annotation(refusals, annotations):
    assert refusals(changed(annotations=annotations)) == [
        "a queue agent may change no annotation but pod-deletion-cost and do-not-disrupt"
    ]


@pytest.mark.parametrize(
    "parts",
    [
        {"labels": {}},
        {"labels": {"app": "other"}},
        {"finalizers": ["example.org/a"]},
        {"ownerReferences": []},
        {"spec": {"containers": [{"name": "queue-agent", "image": "b"}]}},
    ],
)
def test_it_may_change_nothing_else_of_its_pod(refusals, parts):
    assert refusals(changed(**parts)) == ["a queue agent may change nothing but annotations"]


def test_others_are_none_of_the_policys_business(refusals):
    assert refusals(changed(labels={}), user="system:serviceaccount:kube-system:replicaset-controller") is None


def test_the_policy_is_in_force_where_the_pods_are_and_denies(releases, policy):
    binding = releases["static"]["ValidatingAdmissionPolicyBinding"]["spec"]
    assert policy["failurePolicy"] == "Fail"
    assert binding["policyName"] == releases["static"]["ValidatingAdmissionPolicy"]["metadata"]["name"]
    assert binding["validationActions"] == ["Deny"]
    assert binding["matchResources"]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "art"}


def test_the_policy_sees_every_change_of_a_pod(policy):
    (rule,) = policy["matchConstraints"]["resourceRules"]
    assert (rule["resources"], rule["operations"]) == (["pods"], ["UPDATE"])


def test_patching_pods_is_all_that_the_service_account_may(releases):
    release = releases["static"]
    assert release["Role"]["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["patch"]}]
    assert release["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "sdruntime", "namespace": "art"}]
    assert release["RoleBinding"]["roleRef"]["name"] == release["Role"]["metadata"]["name"]


def test_the_policy_knows_the_annotations_that_the_agent_sets(policy):
    assert {variable["name"]: variable for variable in policy["variables"]}["marks"]["expression"] == str(
        list(BUSY_ANNOTATIONS)
    ).replace("'", '"')
