"""Finds out what a run is about before anything is done: the account, config.yaml, the bucket."""

from collections.abc import Sequence
from pathlib import Path

from configuration.config import Config, ConfigError
from deploy.account import Account
from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.rollout.config_yaml import ConfigYaml, Origin
from deploy.rollout.deployment import Deployment
from deploy.rollout.first_runtime import instance_types, preferred
from deploy.rollout.journal import JOURNALS, Journal
from deploy.rollout.options import Options
from deploy.support.instances import node_types, offered, usual_in
from deploy.support.zones import zones_for


def open_deployment(options: Options, root: Path) -> Deployment:
    """Look up all that the steps begin with.

    Args:
        options: What the operator asks for.
        root: The repository's root, where config.yaml is.

    Raises:
        DeployError: It cannot be deployed with these options.
    """
    account = Account.find(options.region)
    file = ConfigYaml(root / "config.yaml")
    bucket, kept = _bucket_and_kept(options, account, file)
    if kept is None and options.bucket is None and not account.partition.reaches_hugging_face:
        raise DeployError(
            f"From {account.region} Hugging Face cannot be reached, so that a new bucket would stay empty.",
            "Make a bucket, upload the model with deploy/upload-model.sh (docs/models.md says how); use -b.",
        )
    deployment = Deployment(
        options=options,
        account=account,
        file=file,
        journal=Journal(root / JOURNALS, stack=options.stack_name, region=account.region),
        bucket=bucket,
        kept=kept,
        instance_types=[] if kept is not None else _instance_types(account, instance_types(options)),
        snapshot=options.snapshot,
    )
    _check_names(deployment)
    deployment.zones = zones_for(account, deployment.stack, node_types(deployment.config.enabled_runtimes))
    return deployment


def _bucket_and_kept(options: Options, account: Account, file: ConfigYaml) -> tuple[str, Config | None]:
    """The model bucket, and the operator's config.yaml where it is for this very deployment."""
    present = _present(options, file)
    named = None if present is None else present.model_bucket_arn.rpartition(":")[2]
    bucket = options.bucket
    if bucket is None and named is not None and _is_usable(account, named, present):
        bucket = named
    bucket = bucket or ModelBucket.default_name(account, options.stack_name)
    ours = present is not None and present.model_bucket_arn == account.bucket_arn(bucket)
    return bucket, present if ours and file.origin is Origin.OPERATOR else None


def _present(options: Options, file: ConfigYaml) -> Config | None:
    """The config.yaml that is there, if it is for a deployment of this name."""
    if file.origin is Origin.ABSENT:
        return None
    config = file.load()
    return config if config.stack_name == options.stack_name else None


def _is_usable(account: Account, bucket: str, config: Config | None) -> bool:
    try:
        owners = [account.id, *(config.bucket_accounts if config is not None else ())]
        return ModelBucket(account, bucket, owners=owners).exists()
    except DeployError:  # somebody else's, as the example's name may be
        return False


def _instance_types(account: Account, wanted: Sequence[str]) -> list[str]:
    there = offered(account.client("ec2"), usual_in(account.partition, wanted))
    if not there:
        raise DeployError(
            f"Region {account.region} offers none of {', '.join(wanted)}.",
            "Choose another region with -R, or write config.yaml with GPU instances that are offered (instanceType).",
        )
    return preferred(there)


def _check_names(deployment: Deployment) -> None:
    try:
        deployment.config  # noqa: B018  composing it checks the names
    except ConfigError as exc:
        raise DeployError(f"An option gives a name that cannot be used:\n{exc}", "Choose other names.") from exc
