"""The scripts' account and region, the differences between partitions, and the meaning of AWS's errors."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    TokenRetrievalError,
    UnknownRegionError,
)

from deploy.errors import DeployError

AWS_ERRORS = (ClientError, BotoCoreError)
"""Everything that boto3's clients raise."""
_RETRIES = Config(retries={"mode": "standard", "max_attempts": 6}, connect_timeout=10)
_REMEDIES = (
    (
        {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthFailure", "403"},
        "Use credentials that may call {operation}; docs/security.md lists what a deployment needs.",
    ),
    ({"ExpiredToken", "ExpiredTokenException", "RequestExpired"}, "The session has expired: log in again."),
    (
        {"Throttling", "ThrottlingException", "RequestLimitExceeded", "SlowDown"},
        "AWS limits the rate of these calls: wait a minute, then run the same command again.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A separate part of AWS, such as China.

    Attributes:
        console: Domain of its console; None if it is unknown.
        url_suffix: The end of its services' domains.
        reaches_hugging_face: Whether models can be downloaded from Hugging Face there.
        gpu_families: Instance families of GPU nodes, unless config.yaml names others.
    """

    console: str | None = None
    url_suffix: str = "amazonaws.com"
    reaches_hugging_face: bool = True
    gpu_families: tuple[str, ...] = ("g6e", "g6", "g5", "g4dn")

    def quota_page(self, service: str, code: str, region: str) -> str:
        """The page that raises a quota, or the service's list if the quota has no code; "" without a known console."""
        if self.console is None:
            return ""
        quota = f"/{code}" if code else ""
        return f"https://{self.console}/servicequotas/home/services/{service}/quotas{quota}?region={region}"


# Domains: docs.aws.amazon.com/general/latest/gr and docs.amazonaws.cn; no API gives them.
PARTITIONS = {
    "aws": Partition(console="console.aws.amazon.com"),
    "aws-cn": Partition(
        console="console.amazonaws.cn",
        url_suffix="amazonaws.com.cn",
        reaches_hugging_face=False,
        gpu_families=("g4dn",),
    ),
    "aws-us-gov": Partition(console="console.amazonaws-us-gov.com"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account (twelve digits) in one region, with boto3's session for both."""

    id: str
    region: str
    partition_name: str
    session: Any

    @classmethod
    def find(cls, region: str | None) -> Self:
        """Look up the account of the current credentials; without a region, that of the environment or the profile.

        Raises:
            DeployError: There is no region, or the credentials are of another partition.
            botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS did not answer.
        """
        try:
            session = boto3.Session(region_name=region or region_of_environment())
        except ProfileNotFound as exc:
            raise DeployError(str(exc), "Set AWS_PROFILE to one that `aws configure list-profiles` prints.") from exc
        if not session.region_name:
            raise _no_region()
        try:
            partition = str(session.get_partition_for_region(session.region_name))
        except (UnknownRegionError, BotoCoreError) as exc:
            raise DeployError(f"There is no region {session.region_name}.", "Name another one with -R.") from exc
        identity = session.client("sts", config=_RETRIES).get_caller_identity()
        of_credentials = identity["Arn"].split(":")[1]
        if of_credentials != partition:
            raise DeployError(
                f"Region {session.region_name} is in partition {partition}, the credentials are of {of_credentials}.",
                "Choose a profile of that partition (AWS_PROFILE), or another region with -R.",
            )
        return cls(id=identity["Account"], region=session.region_name, partition_name=partition, session=session)

    @property
    def partition(self) -> Partition:
        """The region's partition."""
        return PARTITIONS.get(self.partition_name, Partition())

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client of a service, in the region unless another one is named."""
        return self.session.client(service, region_name=region, config=_RETRIES)

    def offers(self, service: str) -> bool:
        """Whether a service is in the region, as far as boto3 knows."""
        return self.region in self.session.get_available_regions(service, partition_name=self.partition_name)

    def bucket_arn(self, bucket: str) -> str:
        """ARN of a bucket."""
        return f"arn:{self.partition_name}:s3:::{bucket}"


def _no_region() -> DeployError:
    return DeployError(
        "No region is set.", "Name one with -R or in AWS_REGION, or set the profile's: aws configure set region NAME."
    )


def region_of_environment() -> str | None:
    """The region in the AWS CLI's variables; boto3 itself reads only the second one."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None


def items(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """All items under a key of a paginated operation's answers."""
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key, [])


def log_groups(account: Account, *prefixes: str) -> list[str]:
    """Names of the log groups that begin with one of some prefixes."""
    logs = account.client("logs")
    found = [items(logs, "describe_log_groups", "logGroups", logGroupNamePrefix=prefix) for prefix in prefixes]
    return [group["logGroupName"] for groups in found for group in groups]


def error_code(failure: ClientError) -> str:
    """AWS's error code."""
    return str(failure.response["Error"]["Code"])


def explain(failure: Exception) -> DeployError:
    """Explain one of AWS_ERRORS, and say what helps."""
    if isinstance(failure, NoCredentialsError | TokenRetrievalError):
        return DeployError(
            "There are no valid AWS credentials.", "Log in: aws configure, aws sso login or AWS_PROFILE."
        )
    if isinstance(failure, NoRegionError):
        return _no_region()
    if not isinstance(failure, ClientError):
        return DeployError(f"AWS cannot be reached: {failure}", "Check the network and the region's name.")
    code, operation = error_code(failure), failure.operation_name
    message = failure.response["Error"].get("Message") or code
    remedy = next((remedy for codes, remedy in _REMEDIES if code in codes), "Correct what the message names.")
    return DeployError(f"AWS refused {operation}: {message} ({code}).", remedy.format(operation=operation))
