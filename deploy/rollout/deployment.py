"""What is deployed: what was asked for, and what the steps have found and made of it so far."""

from dataclasses import dataclass, field
from typing import Any

from configuration.config import Config, parse_config
from deploy.account import Account
from deploy.models.bucket import ModelBucket
from deploy.rollout.config_yaml import ConfigYaml
from deploy.rollout.draft import Image, draft
from deploy.rollout.journal import Journal
from deploy.rollout.options import Options
from deploy.rollout.toolbox import tool_environ
from deploy.stacks import Stack

ZONES_VARIABLE = "CDK_AVAILABILITY_ZONES"
"""By which cdk.__main__ takes the zones where config.yaml leaves them open."""


@dataclass(kw_only=True)
class Deployment:
    """A deployment under way.

    Attributes:
        options: What the operator asks for.
        account: Where to.
        file: config.yaml.
        journal: What earlier runs did.
        bucket: The model bucket's name.
        kept: The operator's own config.yaml, where it is used as it is; None where one is written.
        instance_types: What nodes of a new runtime may be.
        zones: Names of the availability zones, unless config.yaml names its own.
        images: The images by name, once they are built.
        snapshot: The snapshot with the images, once it is there.
    """

    options: Options
    account: Account
    file: ConfigYaml
    journal: Journal
    bucket: str
    kept: Config | None
    instance_types: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    images: dict[str, Image] = field(default_factory=dict)
    snapshot: str | None = None

    @property
    def model_bucket(self) -> ModelBucket:
        """The model bucket itself."""
        others = self.kept.bucket_accounts if self.kept is not None else []
        return ModelBucket(self.account, self.bucket, owners=[self.account.id, *others])

    @property
    def draft(self) -> dict[str, Any]:
        """The content of a new config.yaml, as far as it is known."""
        return draft(
            self.options,
            bucket_arn=self.account.bucket_arn(self.bucket),
            instance_types=self.instance_types,
            zones=self.zones,
            images=self.images,
            snapshot=self.snapshot,
        )

    @property
    def config(self) -> Config:
        """What is deployed.

        Raises:
            configuration.config.ConfigError: An option gives a name that config.yaml may not have.
        """
        return self.kept or parse_config(self.draft)

    @property
    def stack(self) -> Stack:
        """The CloudFormation stack."""
        return Stack(self.account.client("cloudformation"), self.config.cloudformation_stack)

    @property
    def environ(self) -> dict[str, str]:
        """What programs need to work for the same account and region."""
        region = self.account.region
        tools = {} if self.options.skip_tools else tool_environ()
        return {
            **tools,
            **dict.fromkeys(("AWS_REGION", "AWS_DEFAULT_REGION", "CDK_DEFAULT_REGION"), region),
            ZONES_VARIABLE: ",".join(self.zones),
        }
