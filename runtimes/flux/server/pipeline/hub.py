"""Models of the Hugging Face hub: fetched into its cache, and taken from there where the hub is out of reach."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

from diffusers import DiffusionPipeline
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx  # the one that the client was installed with: httpx, or its successor httpx2

from runtimes.flux.server.errors import PipelineRefusedError

_STRANGE = "it does not know the token in HF_TOKEN"
_UNREACHED = "it cannot be reached, or it broke off, and what was fetched from it before is not the whole model"
_MEANINGS: Mapping[type[BaseException], str] = {
    GatedRepoError: "its terms have to be accepted on its page, and a token of that account given as HF_TOKEN",
    RepositoryNotFoundError: "it has no such repository, or a private one, for which HF_TOKEN is missing",
    RevisionNotFoundError: "that repository has no such commit, tag or branch",
    RemoteEntryNotFoundError: "that repository has no model_index.json, so it is no diffusers model",
    HFValidationError: "that is no id of a repository, which has the form owner/name",
    httpx.TransportError: _UNREACHED,
}
_UNAUTHORIZED = 401
_log = logging.getLogger(__name__)


def fetched(hub_id: str, revision: str | None = None) -> Path:
    """Find a model's folder in the hub's cache; what is new or missing there is fetched first.

    Args:
        hub_id: The repository.
        revision: Its commit, tag or branch; None takes the main branch.

    Raises:
        PipelineRefusedError: The hub does not give it; the message says why, as the end of a sentence.
    """
    _log.info(
        "the model is looked for on the Hugging Face hub, and fetched", extra={"model": hub_id, "revision": revision}
    )
    try:
        return _downloaded(hub_id, revision)
    except (HFValidationError, OSError) as exc:
        raise PipelineRefusedError(_reason(exc)) from exc


def _downloaded(hub_id: str, revision: str | None) -> Path:
    try:
        return Path(DiffusionPipeline.download(hub_id, revision=revision, use_safetensors=True))
    except httpx.TransportError:
        # diffusers 0.42 turns to the cache where a connection is refused, not where it times out or breaks.
        return Path(DiffusionPipeline.download(hub_id, revision=revision, use_safetensors=True, local_files_only=True))


def _reason(exc: Exception) -> str:
    """Say why; the libraries' own words hold signed links, and advice for who sits at a terminal."""
    if (found := next(filter(None, map(_meaning, _chain(exc))), None)) is not None:
        return found
    if isinstance(exc, LocalEntryNotFoundError):
        return _UNREACHED
    return f"what it gave is not the whole model, or has no .safetensors ({type(exc).__name__})"


def _chain(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _meaning(exc: BaseException) -> str | None:
    """What one error of a chain says; None where only its cause does."""
    if isinstance(exc, HfHubHTTPError) and type(exc) not in _MEANINGS:
        status = exc.response.status_code
        return _STRANGE if status == _UNAUTHORIZED else f"it answered with status {status}"
    if isinstance(exc, OSError) and exc.errno is not None:
        return str(exc)  # the cache: it is full, or cannot be written
    return next((words for kind, words in _MEANINGS.items() if isinstance(exc, kind)), None)
