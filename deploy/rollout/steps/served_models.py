"""Where the models of runtimes of type flux come from: folders of the model bucket, or the Hugging Face hub."""

from collections.abc import Iterator, Mapping

from configuration.config import ModelsRuntime
from deploy.errors import DeployError
from deploy.models.library import ModelLibrary
from deploy.models.tree import INDEX
from deploy.rollout.deployment import Deployment
from runtimes.flux.options import ModelOptions

_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


def served_models(deployment: Deployment, library: ModelLibrary | None) -> list[str]:
    """Say for each model where it comes from.

    Args:
        deployment: What is deployed.
        library: The model bucket; None while it is not there.

    Raises:
        DeployError: A model is not in the bucket, and pods cannot fetch it from the hub.
    """
    return [_origin(deployment, library, runtime, model) for runtime, model in _models(deployment)]


def _models(deployment: Deployment) -> Iterator[tuple[ModelsRuntime, ModelOptions]]:
    for runtime in deployment.config.enabled_runtimes:
        if runtime.model is not None:
            yield runtime, runtime.model


def _origin(deployment: Deployment, library: ModelLibrary | None, runtime: ModelsRuntime, model: ModelOptions) -> str:
    folder = f"{deployment.config.models_prefix or ''}{model.where}"
    if model.revision is None and library is not None and library.has(f"{folder}/{INDEX}"):
        return f"{model.where} in the bucket"
    hindrance = _hindrance(deployment, runtime, model)
    if hindrance is None:
        return f"{runtime.name} fetches {model.where} from the Hugging Face hub"
    if model.revision is not None:
        raise DeployError(
            f"{runtime.name} asks for revision {model.revision} of {model.where}, and {hindrance}.",
            f"Leave revision out, and serve {model.where} from the bucket (docs/flux.md).",
        )
    raise DeployError(
        f"Model {folder}/ of {runtime.name} is not in bucket {deployment.bucket}, and {hindrance}.",
        f"Download it, accepting its licence, then: deploy/upload-model.sh DOWNLOADED {folder} {deployment.bucket}",
    )


def _hindrance(deployment: Deployment, runtime: ModelsRuntime, model: ModelOptions) -> str | None:
    """Why pods cannot fetch a model from the hub; None where they can."""
    if model.where.count("/") != 1:
        return f"{model.where} is no id of the Hugging Face hub"
    if not deployment.account.partition.reaches_hugging_face:
        return "the Hugging Face hub cannot be reached from this partition"
    if model.known is not None and model.known.gated and not _has_token(runtime):
        return f"the Hugging Face hub gives it only for a token ({_TOKEN} in runtime.inferenceApi.extraEnv)"
    return None


def _has_token(runtime: ModelsRuntime) -> bool:
    given = runtime.extra_values.runtime.inference_api.extra_env
    return _TOKEN in (given if isinstance(given, Mapping) else [variable.name for variable in given])
