"""The model bucket, and the models that runtimes load at their start."""

from collections.abc import Mapping

from configuration.config import ModelsRuntime
from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.models.layout import DEFAULT_MODEL, INDEX
from deploy.models.library import ModelLibrary
from deploy.models.sources import source_of
from deploy.rollout.context import RolloutContext
from deploy.rollout.steps import RolloutStep
from runtimes.flux.options import ModelOptions
from runtimes.model_folders import CHECKPOINT_FOLDER

_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


def _plan_bucket(context: RolloutContext) -> str:
    return f"{context.bucket} is there" if _has_bucket(context) else f"make {context.bucket}"


def _make_bucket(context: RolloutContext) -> str:
    """One that the operator named is left as it is."""
    is_default = context.bucket == ModelBucket.default_name(context.account, context.options.stack_name)
    if _has_bucket(context) and not is_default:
        return f"{context.bucket} is there"
    context.model_bucket.make()
    return f"{context.bucket}: private, encrypted, versioned, TLS only"


def _has_bucket(context: RolloutContext) -> bool:
    exists = context.model_bucket.exists()
    if not exists and context.options.bucket is not None:
        raise DeployError(
            f"There is no bucket {context.bucket}.",
            "-b names one that exists. Leave it out and one is made, or correct its name.",
        )
    return exists


def _plan_models(context: RolloutContext) -> str:
    library = _library(context) if context.model_bucket.exists() else None
    absent = _absent(context, library)
    downloads = f"download {', '.join(absent)}" if absent else ""
    return "; ".join(filter(None, (downloads, *_origins(context, library)))) or "all are there"


def _store_models(context: RolloutContext) -> str:
    library, needed = _library(context), _checkpoints(context)
    _absent(context, library)
    origins = _origins(context, library)
    key = _key(context, DEFAULT_MODEL.filename)
    # What is there and verified needs no connection to where it came from.
    if DEFAULT_MODEL.filename in needed and not library.holds(key, DEFAULT_MODEL.sha256):
        library.store(source_of(DEFAULT_MODEL.url), key, sha256=DEFAULT_MODEL.sha256)
    stored = f"{', '.join(needed)} in {CHECKPOINT_FOLDER}/" if needed else ""
    return "; ".join(filter(None, (stored, *origins))) or "no runtime names one"


def _library(context: RolloutContext) -> ModelLibrary:
    return ModelLibrary(context.account.client("s3"), context.bucket)


def _checkpoints(context: RolloutContext) -> list[str]:
    """Checkpoints of the operator's config.yaml; for a new one the default, unless its runtime has another."""
    runtimes = context.config.enabled_runtimes
    if context.kept is None and not any(runtime.model for runtime in runtimes):
        return [DEFAULT_MODEL.filename]
    return [runtime.static_model for runtime in runtimes if runtime.static_model is not None]


def _key(context: RolloutContext, name: str) -> str:
    return f"{context.config.models_prefix or ''}{CHECKPOINT_FOLDER}/{name}"


def _absent(context: RolloutContext, library: ModelLibrary | None) -> list[str]:
    """The checkpoints that are not in the bucket; those that cannot be downloaded are refused."""
    names = [name for name in _checkpoints(context) if library is None or not library.has(_key(context, name))]
    reachable = context.account.partition.reaches_hugging_face
    for name in names:
        if name != DEFAULT_MODEL.filename or not reachable:
            why = "" if name != DEFAULT_MODEL.filename else " Hugging Face cannot be reached from this partition."
            raise DeployError(
                f"{_key(context, name)} is not in bucket {context.bucket}.{why}",
                f"Upload it: deploy/upload-model.sh {name} {CHECKPOINT_FOLDER} {context.bucket}",
            )
    return names


def _origins(context: RolloutContext, library: ModelLibrary | None) -> list[str]:
    """Where each model with options (type flux) comes from: a folder of the bucket, or the Hugging Face hub."""
    return [
        _origin(context, library, runtime, runtime.model)
        for runtime in context.config.enabled_runtimes
        if runtime.model is not None
    ]


def _origin(context: RolloutContext, library: ModelLibrary | None, runtime: ModelsRuntime, model: ModelOptions) -> str:
    folder = f"{context.config.models_prefix or ''}{model.where}"
    if model.revision is None and library is not None and library.has(f"{folder}/{INDEX}"):
        return f"{model.where} in the bucket"
    hindrance = _hindrance(context, runtime, model)
    if hindrance is None:
        return f"{runtime.name} fetches {model.where} from the Hugging Face hub"
    if model.revision is not None:
        raise DeployError(
            f"{runtime.name} asks for revision {model.revision} of {model.where}, and {hindrance}.",
            f"Leave revision out, and serve {model.where} from the bucket (docs/flux.md).",
        )
    raise DeployError(
        f"Model {folder}/ of {runtime.name} is not in bucket {context.bucket}, and {hindrance}.",
        f"Download it, accepting its licence, then: deploy/upload-model.sh DOWNLOADED {folder} {context.bucket}",
    )


def _hindrance(context: RolloutContext, runtime: ModelsRuntime, model: ModelOptions) -> str | None:
    """Why pods cannot fetch a model from the hub; None where they can."""
    if model.where.count("/") != 1:
        return f"{model.where} is no id of the Hugging Face hub"
    if not context.account.partition.reaches_hugging_face:
        return "the Hugging Face hub cannot be reached from this partition"
    given = runtime.extra_values.runtime.inference_api.extra_env
    names = given if isinstance(given, Mapping) else [variable.name for variable in given]
    if model.known is not None and model.known.gated and _TOKEN not in names:
        return f"the Hugging Face hub gives it only for a token ({_TOKEN} in runtime.inferenceApi.extraEnv)"
    return None


MODEL_BUCKET = RolloutStep("Model bucket", _plan_bucket, _make_bucket)
MODELS = RolloutStep("Models", _plan_models, _store_models)
