"""Models of the Hugging Face hub: fetched into its cache, and taken from there where the hub is out of reach."""

import logging
from functools import partial
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
_MEANINGS: dict[type[BaseException], str] = {
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

    Raises:
        PipelineRefusedError: The hub does not give it; the message says why, as the end of a sentence.
    """
    _log.info(
        "the model is looked for on the Hugging Face hub, and fetched", extra={"model": hub_id, "revision": revision}
    )
    download = partial(DiffusionPipeline.download, hub_id, revision=revision, use_safetensors=True)
    try:
        try:
            return Path(download())
        except httpx.TransportError:
            # diffusers 0.42 turns to the cache where a connection is refused, not where it times out or breaks.
            return Path(download(local_files_only=True))
    except (HFValidationError, OSError) as exc:
        raise PipelineRefusedError(_reason(exc)) from exc


def _reason(exc: Exception) -> str:
    """Say why; the libraries' own words hold signed links, and advice for people at a terminal."""
    cause: BaseException | None = exc
    while cause is not None:
        if (found := _meaning(cause)) is not None:
            return found
        cause = cause.__cause__
    if isinstance(exc, LocalEntryNotFoundError):
        return _UNREACHED
    return f"what it gave is not the whole model, or has no .safetensors ({type(exc).__name__})"


def _meaning(exc: BaseException) -> str | None:
    """What one error of a chain says; None where only its cause does."""
    if isinstance(exc, HfHubHTTPError) and type(exc) not in _MEANINGS:
        status = exc.response.status_code
        return _STRANGE if status == _UNAUTHORIZED else f"it answered with status {status}"
    if isinstance(exc, OSError) and exc.errno is not None:
        return str(exc)  # the cache: it is full, or cannot be written
    return next((words for kind, words in _MEANINGS.items() if isinstance(exc, kind)), None)
