"""What jobs leave on a ComfyUI server that runs for weeks: uploads, saved files, previews, history entries.

ComfyUI itself removes no file. The platform's image has a route for it (``runtimes/comfyui``); on any other server
files belong to its owner, and stay.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from time import monotonic
from typing import Any

from queue_agent.errors import ServerError
from runtimes._background import BackgroundTasks
from runtimes._http import ModelServerClient, as_object
from runtimes.comfyui.driver.history import history_of, listed_files

logger = logging.getLogger(__name__)

UPLOAD_FOLDER = "task-inputs"

_ROUTE = "sd-on-eks/discard"
_TIMEOUT_S = 10
_LITTLE_FREE = 0.1
"""Of the disk; jobs fail once nothing is left."""
_WARN_EVERY_S = 600


class Leftovers:
    """Removes what is no longer needed, in the background."""

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._users: Counter[str] = Counter()
        self._removals = BackgroundTasks("comfyui-leftovers")
        self._removing: dict[asyncio.Task[None], frozenset[str]] = {}
        self._server_removes_files = True
        self._warned_s = float("-inf")

    async def hold(self, upload: str) -> None:
        """Keep an upload until ``discard`` names it as often as it was held; returns once it may be uploaded."""
        self._users[upload] += 1
        if pending := [task for task, names in self._removing.items() if upload in names]:
            await asyncio.wait(pending)

    def discard(self, uploads: Iterable[str], prompt_id: str | None = None) -> None:
        """Release uploads, and remove everything that a prompt left."""
        unused = []
        for upload in uploads:
            self._users[upload] -= 1
            if self._users[upload] <= 0:
                del self._users[upload]
                unused.append(upload)
        if unused or prompt_id is not None:
            task = self._removals.start(self._remove(unused, prompt_id))
            self._removing[task] = frozenset(unused)
            task.add_done_callback(self._removing.pop)

    async def aclose(self) -> None:
        """Wait a short while for removals to end."""
        await self._removals.aclose()

    async def _remove(self, uploads: Sequence[str], prompt_id: str | None) -> None:
        try:
            files: list[Mapping[str, str]] = [_input_file(upload) for upload in uploads]
            if prompt_id is not None:
                files += [file for _, file in listed_files(await history_of(self._client, prompt_id) or {})]
                await self._client.send("POST", "history", json={"delete": [prompt_id]}, timeout_s=_TIMEOUT_S)
            await self._remove_files(files, [prompt_id] if prompt_id else [])
        except ServerError as exc:
            logger.warning("files stay on the model server: %s", exc)

    async def _remove_files(self, files: Sequence[Mapping[str, str]], folders: Sequence[str]) -> None:
        if not self._server_removes_files:
            return
        body: dict[str, Any] = {"files": files, "folders": folders}
        answer = await self._client.send("POST", _ROUTE, json=body, timeout_s=_TIMEOUT_S)
        if answer.status in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}:
            self._server_removes_files = False
            logger.info("this ComfyUI removes no files; what its jobs save stays there")
        elif answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to {_ROUTE}.")
        else:
            self._look_at_disk(as_object(answer.json()))

    def _look_at_disk(self, told: Mapping[str, Any]) -> None:
        match told.get("free_bytes"), told.get("total_bytes"):
            case int(free), int(total) if free < _LITTLE_FREE * total and self._warned_s + _WARN_EVERY_S < monotonic():
                self._warned_s = monotonic()
                logger.warning("the model server's disk is nearly full", extra={"free_mib": free // 2**20})


def _input_file(upload: str) -> dict[str, str]:
    subfolder, _, filename = upload.rpartition("/")
    return {"filename": filename, "subfolder": subfolder, "type": "input"}
