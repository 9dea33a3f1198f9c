"""The model bucket, and the models that runtimes load when they start."""

from collections.abc import Mapping

from configuration.config import ModelsRuntime
from deploy.errors import DeployError
from deploy.models.bucket import ModelBucket
from deploy.models.library import INDEX, ModelLibrary
from deploy.models.sources import source_of
from deploy.rollout.context import RolloutContext
from deploy.rollout.first_runtime import DEFAULT_CHECKPOINT, DEFAULT_SHA256, DEFAULT_URL
from deploy.rollout.steps import StepWork, step
from runtimes.flux.options import ModelOptions
from runtimes.model_files import ModelCopyError, files_to_copy
from runtimes.model_folders import CHECKPOINT_FOLDER
from runtimes.read_ahead import size_bytes

_TOKEN = "HF_TOKEN"  # noqa: S105 - the variable's name


@step("Model bucket", for_pods=True)
def model_bucket(context: RolloutContext) -> StepWork:
    """Create it; the operator's own bucket stays unchanged."""
    exists = context.model_bucket.exists()
    if not exists and context.options.bucket is not None:
        raise DeployError(
            f"There is no bucket {context.bucket}.",
            "-b names one that exists. Leave it out and one is made, or correct its name.",
        )
    yield f"{context.bucket} is there" if exists else f"make {context.bucket}"
    if exists and context.bucket != ModelBucket.default_name(context.account, context.options.stack_name):
        return f"{context.bucket} is there"
    context.model_bucket.make()
    return f"{context.bucket}: private, encrypted, versioned, TLS only"


@step("Models", for_pods=True)
def models(context: RolloutContext) -> StepWork:
    """Download the default checkpoint; refuse models that pods could not get."""
    library = ModelLibrary(context.account.client("s3"), context.bucket)
    checkpoints = _checkpoints(context)
    absent = [name for name in checkpoints if not library.has(_key(context, name))]
    for name in absent:
        _require_download(context, name)
    for runtime in context.config.enabled_runtimes:
        if runtime.copies_models and runtime.static_model not in absent:
            _require_room(context, runtime)
    origins = [
        _origin(context, library, runtime, runtime.model)
        for runtime in context.config.enabled_runtimes
        if isinstance(runtime.model, ModelOptions)
    ]
    downloads = [f"download {', '.join(absent)}"] if absent else []
    yield "; ".join([*downloads, *origins]) or "all are there"
    key = _key(context, DEFAULT_CHECKPOINT)
    # A verified file needs no connection to its source.
    if DEFAULT_CHECKPOINT in checkpoints and not library.holds(key, DEFAULT_SHA256):
        library.store(source_of(DEFAULT_URL), key, sha256=DEFAULT_SHA256)
    stored = [f"{', '.join(checkpoints)} in {CHECKPOINT_FOLDER}/"] if checkpoints else []
    return "; ".join([*stored, *origins]) or "no runtime names one"


def _checkpoints(context: RolloutContext) -> list[str]:
    """The checkpoints of the operator's config.yaml, or the default for a new one, unless its runtime has another."""
    runtimes = context.config.enabled_runtimes
    if context.kept is None and not any(runtime.model for runtime in runtimes):
        return [DEFAULT_CHECKPOINT]
    return [runtime.static_model for runtime in runtimes if runtime.static_model is not None]


def _key(context: RolloutContext, name: str) -> str:
    return f"{context.config.models_prefix or ''}{CHECKPOINT_FOLDER}/{name}"


def _require_download(context: RolloutContext, name: str) -> None:
    is_default = name == DEFAULT_CHECKPOINT
    if not is_default or not context.account.partition.reaches_hugging_face:
        why = " Hugging Face cannot be reached from this partition." if is_default else ""
        raise DeployError(
            f"{_key(context, name)} is not in bucket {context.bucket}.{why}",
            f"Upload it: deploy/upload-model.sh {name} {CHECKPOINT_FOLDER} {context.bucket}",
        )


def _require_room(context: RolloutContext, runtime: ModelsRuntime) -> None:
    """Refuse models that its pods would refuse to copy."""
    try:
        files_to_copy(
            context.account.client("s3"),
            context.bucket,
            prefix=context.config.models_prefix or "",
            checkpoint=runtime.static_model,
            max_bytes=size_bytes(runtime.extra_values.runtime.persistence.copy_size),
        )
    except ModelCopyError as exc:
        raise DeployError(
            f"Pods of {runtime.name} cannot copy the models of bucket {context.bucket}.", str(exc)
        ) from exc


def _origin(context: RolloutContext, library: ModelLibrary, runtime: ModelsRuntime, model: ModelOptions) -> str:
    """The source of a model with options (type flux): a folder of the bucket, or the Hugging Face hub."""
    folder = f"{context.config.models_prefix or ''}{model.where}"
    if model.revision is None and library.has(f"{folder}/{INDEX}"):
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
    """Why pods cannot fetch a model from the hub; None if they can."""
    if model.where.count("/") != 1:
        return f"{model.where} is no id of the Hugging Face hub"
    if not context.account.partition.reaches_hugging_face:
        return "the Hugging Face hub cannot be reached from this partition"
    given = runtime.extra_values.runtime.inference_api.extra_env
    names = given if isinstance(given, Mapping) else [variable.name for variable in given]
    if model.known is not None and model.known.gated and _TOKEN not in names:
        return f"the Hugging Face hub gives it only for a token ({_TOKEN} in runtime.inferenceApi.extraEnv)"
    return None
