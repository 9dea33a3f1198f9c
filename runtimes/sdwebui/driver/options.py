"""SD WebUI's options: the loaded checkpoint, and settings that a task overrides."""

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from contract.task import CHECKPOINT_ATTRIBUTE
from queue_agent.errors import Rejected, ServerError
from runtimes._http import ModelServerClient
from runtimes._wording import shorten_name
from runtimes.sdwebui.checkpoints import is_checkpoint_hash, same_checkpoint
from runtimes.sdwebui.driver.answer import error_of

logger = logging.getLogger(__name__)

_CACHED = "sd_checkpoints_limit"
_REFRESHES = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-upscalers")
"""What makes the server list its files again; the last one is our image's own. Embeddings come with a checkpoint."""


class Options:
    """The server's options; ``cached_checkpoints`` of None leaves how many checkpoints it keeps loaded as it is."""

    def __init__(self, client: ModelServerClient, *, dynamic_model: bool, cached_checkpoints: int | None) -> None:
        self._client = client
        self._dynamic_model = dynamic_model
        self._cached_checkpoints = cached_checkpoints
        self._saved: set[str] = set()

    async def use_checkpoints(self, drawing: str | None, others: Iterable[str]) -> None:
        """Make the server draw with a checkpoint, by any of its names, and make sure that it has the others.

        Raises:
            Rejected: There is no such checkpoint, or a static runtime has loaded another one; the message says which.
        """
        for name in others:
            await (self._title_of(name) if self._dynamic_model else self._require(name))
        if drawing:
            await (self._load(drawing) if self._dynamic_model else self._require(drawing))

    async def load_late(self, checkpoint: str) -> None:
        """Load a checkpoint of a server that was started before its files were there, and have it list all of them.

        Raises:
            AgentError: It has no such checkpoint, or refuses it. Where loading fails, the server only leaves its
                options as they were.
        """
        for path in _REFRESHES:
            answer = await self._client.send("POST", path, json={}, timeout_s=None)
            if answer.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):  # what a server does not have is no loss
                raise error_of(answer)
        await self._load(checkpoint)

    async def _load(self, wanted: str) -> None:
        title = await self._title_of(wanted)
        current = await self._current()
        changes: dict[str, Any] = {}
        if self._cached_checkpoints not in {None, current.get(_CACHED)}:
            # Before the checkpoint: the server sets options in their order, and would drop the present one first.
            changes[_CACHED] = self._cached_checkpoints
        if not same_checkpoint(str(current.get(CHECKPOINT_ATTRIBUTE)), title):
            changes[CHECKPOINT_ATTRIBUTE] = title
        if changes:
            await self._post("options", changes)

    async def _title_of(self, wanted: str) -> str:
        """Look up a name or hash, which the server would ignore without a word; once more if its list may be old."""
        if title := _find(await self._models(), wanted):
            return title
        await self._post("refresh-checkpoints")
        models = await self._models()
        if title := _find(models, wanted):
            return title
        names = ", ".join(str(model.get("title")) for model in models) or "none"
        raise Rejected(f"There is no checkpoint {shorten_name(wanted)}; there are: {names}.")

    async def _require(self, wanted: str) -> None:
        """Reject another checkpoint than the loaded one."""
        current = await self._current()
        loaded = current.get(CHECKPOINT_ATTRIBUTE)
        if not loaded or same_checkpoint(str(loaded), wanted):
            return
        hashes = (str(loaded).rpartition("[")[2].removesuffix("]"), str(current.get("sd_checkpoint_hash") or ""))
        if not is_checkpoint_hash(wanted) or not any(known.startswith(wanted.lower()) for known in hashes):
            raise Rejected(f"This runtime serves the checkpoint {loaded}, not {shorten_name(wanted)}.")

    async def make_restorable(self, keys: Iterable[str]) -> None:
        """Save the present values of settings that a task overrides.

        The server restores a setting after a job only if its saved configuration holds it; else the job's value
        would stick for all later ones.
        """
        if not (missing := set(keys) - self._saved):
            return
        current = await self._current()
        if present := {key: current[key] for key in missing if current.get(key) is not None}:
            await self._post("options", present)
        self._saved |= missing

    async def _models(self) -> list[dict[str, Any]]:
        models = await self._client.get_json("sd-models")
        return [model for model in models if isinstance(model, dict)] if isinstance(models, list) else []

    async def _current(self) -> dict[str, Any]:
        try:
            return await self._client.get_object("options")
        except ServerError as exc:
            # One option of the wrong type makes the server answer 500 here, and still draw.
            logger.warning("the model server's options cannot be read: %s", exc)
            return {}

    async def _post(self, path: str, body: dict[str, Any] | None = None) -> None:
        # Loading a checkpoint waits for the running job, and then for the file.
        answer = await self._client.send("POST", path, json=body or {}, timeout_s=None)
        if answer.status != HTTPStatus.OK:
            raise error_of(answer)


def _find(models: list[dict[str, Any]], wanted: str) -> str | None:
    for model in models:
        title = str(model.get("title"))
        names = (title, str(model.get("model_name")), str(model.get("filename")).rpartition("/")[2])
        if any(same_checkpoint(name, wanted) for name in names) or wanted in (model.get("hash"), model.get("sha256")):
            return title
    return None
