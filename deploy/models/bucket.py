"""The model bucket itself: finds it, or creates it so that nobody else can read it."""

import json
from collections.abc import Sequence

from botocore.exceptions import ClientError

from deploy.aws import Account, error_code
from deploy.errors import DeployError

_MAX_NAME = 63
_CLASSIC_LOCATION = "us-east-1"
"""The only region that CreateBucket does not accept (API reference, LocationConstraint)."""
_PRIVATE = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
_ENCRYPTED = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
_LOST_PARTS = {"ID": "lost-parts", "Status": "Enabled", "Filter": {}}
_TIDY = {"Rules": [{**_LOST_PARTS, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}]}


class ModelBucket:
    """A bucket with models, owned by one of the given accounts; without any, by every account that grants access.

    Anybody can take a free name, and fill the bucket.
    """

    def __init__(self, account: Account, name: str, *, owners: Sequence[str] = ()) -> None:
        self._account = account
        self._s3 = account.client("s3")
        self._owners = owners
        self.name = name

    @classmethod
    def default_name(cls, account: Account, stack_name: str) -> str:
        """The name of a deployment's bucket without -b, which no other account can take.

        Raises:
            DeployError: It is longer than S3 allows.
        """
        name = f"{stack_name}-models-{account.id}-{account.region}".lower()
        if len(name) > _MAX_NAME:
            raise DeployError(f"{name} is too long for a bucket's name.", "Make a bucket yourself and name it with -b.")
        return name

    def exists(self) -> bool:
        """Whether it exists and can be used from the region.

        Raises:
            DeployError: It belongs to another account, or is in another region.
        """
        for expected in [{"ExpectedBucketOwner": owner} for owner in self._owners] or [{}]:
            try:
                head = self._s3.head_bucket(Bucket=self.name, **expected)
            except ClientError as exc:
                if error_code(exc) == "404":
                    return False
                if error_code(exc) != "403":
                    raise
            else:
                break
        else:
            raise DeployError(
                f"Bucket {self.name} belongs to somebody else, or these credentials may not read it.",
                "Name another one with -b, or use credentials that may. If another account of yours owns it, name"
                " that one in bucketAccounts of config.yaml.",
            )
        region = head.get("BucketRegion", self._account.region)
        if region != self._account.region:
            raise DeployError(
                f"Bucket {self.name} is in {region}, the platform is deployed to {self._account.region}.",
                "Nodes read models from their own region: choose that region with -R, or another bucket with -b.",
            )
        return True

    def make(self) -> None:
        """Create it if it is missing, with everything that keeps models private and intact."""
        region, at = self._account.region, {"Bucket": self.name}
        if not self.exists():
            place = {} if region == _CLASSIC_LOCATION else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            self._s3.create_bucket(**at, **place)
        self._s3.put_public_access_block(**at, PublicAccessBlockConfiguration=_PRIVATE)
        self._s3.put_bucket_encryption(**at, ServerSideEncryptionConfiguration=_ENCRYPTED)
        self._s3.put_bucket_versioning(**at, VersioningConfiguration={"Status": "Enabled"})
        self._s3.put_bucket_lifecycle_configuration(**at, LifecycleConfiguration=_TIDY)
        arn = self._account.bucket_arn(self.name)
        statement = {
            "Sid": "TlsOnly",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [arn, f"{arn}/*"],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        self._s3.put_bucket_policy(**at, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
