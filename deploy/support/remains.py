"""Log groups of a removed deployment whose names a new one needs."""

from collections.abc import Iterator

from deploy.account import Account
from deploy.support.findings import Finding, Verdict


def log_groups_in_the_way(account: Account, cluster: str) -> Iterator[Finding]:
    """Look for those that AWS names after the cluster: EKS may write once more after a removal has deleted its own.

    Args:
        account: Where it is deployed to.
        cluster: Name of the cluster, which is not there.
    """
    logs = account.client("logs")
    for prefix in (f"/aws/eks/{cluster}/", f"/aws/containerinsights/{cluster}/"):
        for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix):
            for name in (one["logGroupName"] for one in page["logGroups"]):
                remover = f"aws logs delete-log-group --log-group-name {name} --region {account.region}"
                yield Finding(
                    what=f"Log group {name}",
                    needed="none",
                    have="of a removed deployment",
                    verdict=Verdict.BLOCKS,
                    advice=f"the stack makes it itself; remove it: {remover}",
                )
