"""The context of a rollout: the account, config.yaml and the bucket, and what the steps have found and made so far."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from configuration.checks import STACK_SUFFIX
from configuration.config import Config, ConfigError, ModelsRuntime, parse_config
from configuration.platform import ZONES
from deploy.aws import Account
from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.rollout.config_yaml import ConfigYaml
from deploy.rollout.first_runtime import first_runtime, instance_types, preferred
from deploy.rollout.options import NEW_SNAPSHOT, RolloutOptions
from deploy.stacks import Stack
from deploy.support.region import node_types, offered, zones_for
from deploy.table_indexes import TableIndexes

ZONES_VARIABLE = "CDK_AVAILABILITY_ZONES"
"""The variable that gives cdk.__main__ the zones if config.yaml names none."""
_FIRST_PROFILE = "lean"


@dataclass(kw_only=True)
class RolloutContext:
    """A running rollout.

    Attributes:
        options: What the operator asks for.
        account: The account to deploy to.
        file: config.yaml.
        bucket: The model bucket's name.
        kept: The operator's own config.yaml, if it is used unchanged; None if the script writes one.
        profile: What a new config.yaml says; None for no key.
        instance_types: The instance types for a new runtime's nodes.
        zones: Names of the availability zones, unless config.yaml names its own.
        images: By name, ``repository@digest`` of each image once it is built.
        snapshot: The snapshot with the images, once it exists.
    """

    options: RolloutOptions
    account: Account
    file: ConfigYaml
    bucket: str
    kept: Config | None
    profile: str | None = None
    instance_types: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    snapshot: str | None = None

    @property
    def makes_snapshot(self) -> bool:
        """Whether a snapshot is made if there is none with the images: on request, and for a file without a profile."""
        asked = self.options.snapshot
        return self.kept is None and (asked == NEW_SNAPSHOT or (asked is None and self.profile is None))

    @property
    def model_bucket(self) -> ModelBucket:
        """The model bucket itself."""
        return _bucket(self.account, self.bucket, self.kept)

    @property
    def new_config(self) -> dict[str, Any]:
        """The content of a new config.yaml, as far as it is known."""
        return {
            "stackName": self.options.stack_name,
            **({"profile": self.profile} if self.profile is not None else {}),
            **({} if self.options.is_managed else {"modelBucketArn": self.account.bucket_arn(self.bucket)}),
            **({"vpc": {"availabilityZones": self.zones}} if len(self.zones) == ZONES else {}),
            "modelsRuntime": [first_runtime(self.options, self.instance_types, self.images, self.snapshot)],
        }

    @property
    def config(self) -> Config:
        """What is deployed.

        Raises:
            configuration.config.ConfigError: An option gives a name that config.yaml may not have.
        """
        return self.kept or parse_config(self.new_config)

    @property
    def runtime(self) -> ModelsRuntime:
        """The runtime that -r names, or the first one that takes tasks."""
        runtimes = self.config.enabled_runtimes or self.config.models_runtime
        return next((one for one in runtimes if one.name == self.options.runtime_name), runtimes[0])

    @property
    def stack(self) -> Stack:
        """The CloudFormation stack."""
        return Stack(self.account.client("cloudformation"), self.config.cloudformation_stack)

    @property
    def table_indexes(self) -> TableIndexes:
        """The indexes of the stack's table."""
        return TableIndexes(self.account.client("dynamodb"), self.stack)


def open_context(options: RolloutOptions, root: Path) -> RolloutContext:
    """Look up everything that the steps start from; config.yaml is in the repository's root.

    Raises:
        DeployError: It cannot be deployed with these options.
    """
    account = Account.find(options.region)
    file = ConfigYaml(root / "config.yaml")
    bucket, present = _bucket_and_present(options, account, file)
    kept = present if file.is_edited else None
    takes_models = kept is None and options.bucket is None and not options.is_managed
    if takes_models and not account.partition.reaches_hugging_face:
        raise DeployError(
            f"Hugging Face cannot be reached from {account.region}, so a new bucket would stay empty.",
            "Make a bucket, upload the model with deploy/upload-model.sh (docs/models.md says how); use -b.",
        )
    context = RolloutContext(
        options=options,
        account=account,
        file=file,
        bucket=bucket,
        kept=kept,
        profile=_new_profile(options, account, present),
        instance_types=[] if kept is not None or options.is_managed else _instance_types(account, options),
        snapshot=None if options.snapshot == NEW_SNAPSHOT else options.snapshot,
    )
    try:
        config = context.config
    except ConfigError as exc:
        raise DeployError(f"An option has an invalid name:\n{exc}", "Choose other names.") from exc
    if config.has_cluster:
        context.zones = zones_for(account, context.stack, node_types(config.enabled_runtimes))
    return context


def _new_profile(options: RolloutOptions, account: Account, present: Config | None) -> str | None:
    """That of the file before it; for a deployment without one, none if it is there, and else the cheapest."""
    if present is not None:
        return present.profile if "profile" in present.model_fields_set else None
    stack = Stack(account.client("cloudformation"), f"{options.stack_name}{STACK_SUFFIX}")
    return _FIRST_PROFILE if stack.status is None else None


def _bucket_and_present(options: RolloutOptions, account: Account, file: ConfigYaml) -> tuple[str, Config | None]:
    """The model bucket, and the config.yaml that is there if it is for this deployment."""
    present = file.load() if file.path.exists() else None
    if present is not None and present.stack_name != options.stack_name:
        present = None
    bucket = options.bucket
    if present is not None and bucket is None and present.model_bucket_arn is not None:
        named = present.model_bucket_arn.rpartition(":")[2]
        bucket = named if _is_usable(_bucket(account, named, present)) else None
    bucket = bucket or ModelBucket.default_name(account, options.stack_name)
    is_ours = present is not None and present.model_bucket_arn in {None, account.bucket_arn(bucket)}
    return bucket, present if is_ours or not file.is_edited else None


def _bucket(account: Account, name: str, config: Config | None) -> ModelBucket:
    return ModelBucket(account, name, owners=[account.id, *(config.bucket_accounts if config is not None else ())])


def _is_usable(bucket: ModelBucket) -> bool:
    try:
        return bucket.exists()
    except DeployError:  # the example's name may belong to somebody else
        return False


def _instance_types(account: Account, options: RolloutOptions) -> list[str]:
    wanted = instance_types(options)
    usual = [name for name in wanted if name.partition(".")[0] in account.partition.gpu_families]
    there = offered(account.client("ec2"), usual)
    if not there:
        raise DeployError(
            f"Region {account.region} offers none of {', '.join(wanted)}.",
            "Choose another region with -R, or write config.yaml with GPU instances that are offered (instanceType).",
        )
    return preferred(there)
