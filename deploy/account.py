"""Whose account it is, and where: identity, region and partition, and the clients for them."""

from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ProfileNotFound, UnknownRegionError

from deploy.errors import DeployError
from deploy.partitions import Partition, partition_named
from deploy.region import no_region, region_of_environment

_PATIENCE = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The account and the region that are deployed to.

    Attributes:
        id: Twelve digits.
        region: Name of the region.
        partition_name: The region's partition, as in ARNs.
        session: boto3's session for both.
    """

    id: str
    region: str
    partition_name: str
    session: Any

    @classmethod
    def find(cls, region: str | None) -> Self:
        """Look up the account of the current credentials.

        Args:
            region: None for the current profile's.

        Raises:
            DeployError: There is no region, or it is not of the credentials' partition.
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS did not answer.
        """
        try:
            session = boto3.Session(region_name=region or region_of_environment())
        except ProfileNotFound as exc:
            raise DeployError(
                str(exc), "Set AWS_PROFILE to one of those that `aws configure list-profiles` names."
            ) from exc
        if session.region_name is None:
            raise no_region()
        try:
            partition = str(session.get_partition_for_region(session.region_name))
        except (UnknownRegionError, BotoCoreError) as exc:
            raise DeployError(f"There is no region {session.region_name}.", "Name another one with -R.") from exc
        identity = session.client("sts", config=_PATIENCE).get_caller_identity()
        of_credentials = identity["Arn"].split(":")[1]
        if of_credentials != partition:
            raise DeployError(
                f"Region {session.region_name} is in partition {partition}, the credentials are of {of_credentials}.",
                "Choose a profile of that partition (AWS_PROFILE), or another region with -R.",
            )
        return cls(id=identity["Account"], region=session.region_name, partition_name=partition, session=session)

    @property
    def partition(self) -> Partition:
        """What is particular to the region's partition."""
        return partition_named(self.partition_name)

    @property
    def bootstrap_target(self) -> str:
        """The account and region as the CDK names an environment."""
        return f"aws://{self.id}/{self.region}"

    def client(self, service: str) -> Any:
        """A boto3 client of a service in the region."""
        return self.session.client(service, config=_PATIENCE)

    def offers(self, service: str) -> bool:
        """Whether a service is in the region, as far as boto3 knows."""
        return self.region in self.session.get_available_regions(service, partition_name=self.partition_name)

    def cluster_arn(self, name: str) -> str:
        """ARN of an EKS cluster."""
        return f"arn:{self.partition_name}:eks:{self.region}:{self.id}:cluster/{name}"

    def bucket_arn(self, bucket: str) -> str:
        """ARN of a bucket."""
        return f"arn:{self.partition_name}:s3:::{bucket}"
