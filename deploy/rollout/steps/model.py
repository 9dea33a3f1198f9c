"""The models that runtimes load at their start."""

from deploy.errors import DeployError
from deploy.models.default_model import DEFAULT_MODEL
from deploy.models.folders import CHECKPOINTS
from deploy.models.library import ModelLibrary
from deploy.models.sources import source_of
from deploy.rollout.deployment import Deployment
from deploy.rollout.steps.served_models import served_models


class Model:
    """What runtimes load is where they look for it: checkpoints under Stable-diffusion/, others in their own folder."""

    title = "Models"

    def foresee(self, deployment: Deployment) -> str:
        """Say what would be downloaded."""
        absent = list(_needed(deployment))
        library = _library(deployment) if deployment.model_bucket.exists() else None
        if library is not None:
            absent = [name for name in absent if not library.has(_key(deployment, name))]
        _refuse_unavailable(deployment, absent)
        found = served_models(deployment, library)
        return "; ".join(filter(None, (f"download {', '.join(absent)}" if absent else "", *found))) or "all are there"

    def run(self, deployment: Deployment) -> str:
        """Download the default model, if it is needed and not there."""
        library = _library(deployment)
        needed = _needed(deployment)
        _refuse_unavailable(deployment, [name for name in needed if not library.has(_key(deployment, name))])
        found = served_models(deployment, library)
        for name in needed:
            if name == DEFAULT_MODEL.filename:
                _store_default(library, _key(deployment, name))
        stored = f"{', '.join(needed)} in {CHECKPOINTS}/" if needed else ""
        return "; ".join(filter(None, (stored, *found))) or "no runtime names one"


def _library(deployment: Deployment) -> ModelLibrary:
    return ModelLibrary(deployment.account.client("s3"), deployment.bucket)


def _needed(deployment: Deployment) -> list[str]:
    """Checkpoints of the operator's config.yaml; for a new one the default, unless its runtime has another."""
    runtimes = deployment.config.enabled_runtimes
    if deployment.kept is None and not any(runtime.model for runtime in runtimes):
        return [DEFAULT_MODEL.filename]
    return [runtime.static_model for runtime in runtimes if runtime.static_model is not None]


def _key(deployment: Deployment, name: str) -> str:
    return f"{deployment.config.models_prefix or ''}{CHECKPOINTS}/{name}"


def _refuse_unavailable(deployment: Deployment, absent: list[str]) -> None:
    reachable = deployment.account.partition.reaches_hugging_face
    for name in absent:
        if name != DEFAULT_MODEL.filename or not reachable:
            why = "" if name != DEFAULT_MODEL.filename else " Hugging Face cannot be reached from this partition."
            raise DeployError(
                f"{_key(deployment, name)} is not in bucket {deployment.bucket}.{why}",
                f"Upload it: deploy/upload-model.sh {name} {CHECKPOINTS} {deployment.bucket}",
            )


def _store_default(library: ModelLibrary, key: str) -> None:
    # What is there and verified needs no connection to where it came from.
    if not library.holds(key, DEFAULT_MODEL.sha256):
        library.store(source_of(DEFAULT_MODEL.url), key, sha256=DEFAULT_MODEL.sha256)
