"""Which instances Karpenter launches: those of the preferred types, though others cost less by the hour."""

import pytest
from clusterkit.releases import comfyui
from clusterkit.scene import Scene

from test.kit.charts import at

NONE_THERE = "g6.4000xlarge"
"""A type that no region has stands for one of which no instance is left: Karpenter finds no offering of either."""


@pytest.mark.parametrize(
    ("name", "types", "preferred", "launched"),
    [
        ("prefers", ["g4dn.xlarge", "g5.xlarge"], ["g5.xlarge"], ("g5.xlarge", ".preferred")),
        ("prefers-none-there", ["g4dn.xlarge", NONE_THERE], [NONE_THERE], ("g4dn.xlarge", "")),
        ("prefers-none", ["g4dn.xlarge", "g5.xlarge"], [], ("g4dn.xlarge", "")),
    ],
)
def test_a_node_is_of_a_preferred_type_while_there_are_some_and_else_of_the_cheapest(
    imitated, name, types, preferred, launched
):
    provisioner = {"instanceType": types, "preferredInstanceType": preferred}
    settings = at("karpenter.provisioner", provisioner), at("runtime.scaling.cooldownPeriod", 5)
    with Scene(imitated, name, comfyui, *settings, has_scaler=False) as scene:
        scene.send(1, seconds=1)
        scene.wait(lambda: any(instance_type(one) for one in scene.release.node_claims()), "a node is launched", 120)
        (claim,) = scene.release.node_claims()
        pool = claim["metadata"]["labels"]["karpenter.sh/nodepool"]
        assert (instance_type(claim), pool.removeprefix(f"{name}-{name}")) == launched
        scene.wait(lambda: scene.agents.done == 1, "its pod works there", 180)


def instance_type(claim):
    return claim["metadata"]["labels"].get("node.kubernetes.io/instance-type")
