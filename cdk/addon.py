"""One EKS add-on."""

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import aws_eks_v2 as eks
from constructs import Construct, IDependable


def add_on(
    scope: Construct,
    construct_id: str,
    *,
    cluster: eks.ICluster,
    name: str,
    after: IDependable,
    configuration: Mapping[str, Any] | None = None,
) -> eks.CfnAddon:
    """Install an add-on, in the version that EKS gives to clusters of this Kubernetes version.

    It keeps that version when the cluster's is raised, until ``aws eks update-addon`` raises its own.

    Args:
        scope: Where it belongs.
        construct_id: Its name there.
        cluster: Where it runs.
        name: Its name in EKS's catalogue.
        after: What must be there before it, and goes after it.
        configuration: Its settings. Default: its own defaults.
    """
    resource = eks.CfnAddon(
        scope,
        construct_id,
        cluster_name=cluster.cluster_name,
        addon_name=name,
        configuration_values=None if configuration is None else json.dumps(configuration),
        resolve_conflicts="OVERWRITE",
    )
    resource.node.add_dependency(after)
    return resource
