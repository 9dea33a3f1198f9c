"""Downloads models from the Hugging Face hub to its cache, and uses the cache when the hub is unreachable."""

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
from huggingface_hub.utils import httpx  # the client's own: httpx, or its successor httpx2

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
    """Download what is new or missing of a model, and return its folder in the hub's cache.

    Raises:
        PipelineRefusedError: The download failed; the message says why, as the end of a sentence.
    """
    _log.info(
        "the model is looked for on the Hugging Face hub, and fetched", extra={"model": hub_id, "revision": revision}
    )
    download = partial(DiffusionPipeline.download, hub_id, revision=revision, use_safetensors=True)
    try:
        try:
            return Path(download())
        except httpx.TransportError:
            # diffusers 0.42 uses the cache if a connection is refused, but not if it times out or breaks.
            return Path(download(local_files_only=True))
    except (HFValidationError, OSError) as exc:
        raise PipelineRefusedError(_reason(exc)) from exc


def _reason(exc: Exception) -> str:
    """Explain an error; the libraries' own messages contain signed links, and advice for people at a terminal."""
    cause: BaseException | None = exc
    while cause is not None:
        if (found := _meaning(cause)) is not None:
            return found
        cause = cause.__cause__
    if isinstance(exc, LocalEntryNotFoundError):
        return _UNREACHED
    return f"what it gave is not the whole model, or has no .safetensors ({type(exc).__name__})"


def _meaning(exc: BaseException) -> str | None:
    """Explain one error of a chain; None if only its cause can."""
    if isinstance(exc, HfHubHTTPError) and type(exc) not in _MEANINGS:
        status = exc.response.status_code
        return _STRANGE if status == _UNAUTHORIZED else f"it answered with status {status}"
    if isinstance(exc, OSError) and exc.errno is not None:
        return str(exc)  # the cache is full or not writable
    return next((words for kind, words in _MEANINGS.items() if isinstance(exc, kind)), None)
