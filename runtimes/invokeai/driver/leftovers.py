"""What jobs leave on an InvokeAI server that runs for weeks: uploads, pictures and items of its queue.

InvokeAI itself removes nothing.
"""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from queue_agent.errors import ServerError
from runtimes._background import BackgroundTasks
from runtimes._http import ModelServerClient, as_object
from runtimes.invokeai.driver.events import QUEUE
from runtimes.invokeai.driver.items import Item, all_files
from runtimes.invokeai.driver.session import Session

logger = logging.getLogger(__name__)

ORIGIN = "sd-on-eks"
"""What the platform's items have as their origin."""
FORGOTTEN = timedelta(hours=6)
"""Ended items that nobody has adopted for so long are removed when an agent starts."""
_NONE: Mapping[str, str] = {}
_TIMEOUT_S = 10
_MAX_IDS = 1000
"""The server takes no more in one request."""


class JobRemover:
    """Removes what is no longer needed, in the background."""

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._removals = BackgroundTasks("invokeai-leftovers")

    def discard(self, session: Session, *, over: bool) -> None:
        """Remove what a job left. Unless it is over, a run that its next claim may adopt stays whole."""
        if not over and session.server_id is not None:
            return
        if session.uploads or session.server_id is not None:
            self._removals.start(self.remove(session.server_id, session.uploads))

    async def remove(self, destination: str | None, uploads: Mapping[str, str] = _NONE) -> None:
        """End a run, and remove it with all its files and these uploads; if the server fails, they stay there."""
        files = dict(uploads)
        try:
            if destination is not None:
                files |= all_files(await items_of(self._client, destination))
                # First the items: an item that still runs would make more files.
                await self._ask("DELETE", f"queue/{QUEUE}/d/{quote(destination, safe='')}")
            for kind in set(files.values()):
                names = [name for name, its_kind in files.items() if its_kind == kind]
                await self._ask("POST", f"{kind}s/delete", {f"{kind}_names": names})
        except ServerError as exc:
            logger.warning("files stay on the model server: %s", exc)

    async def remove_forgotten(self, items: list[dict[str, Any]]) -> None:
        """Remove jobs whose items have all ended long ago; ``items`` are summaries of all items of the platform."""
        oldest = (datetime.now(UTC) - FORGOTTEN).strftime("%Y-%m-%d %H:%M:%S")
        recent = {item["destination"] for item in items if _ended(item) >= oldest}
        for destination in {item["destination"] for item in items} - recent:
            await self.remove(destination)

    async def aclose(self) -> None:
        """Wait a short while for removals to end."""
        await self._removals.aclose()

    async def _ask(self, method: str, path: str, body: Any = None) -> None:
        answer = await self._client.send(method, f"api/v1/{path}", json=body, timeout_s=_TIMEOUT_S)
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to {method} {path.partition('/d/')[0]}.")


def _ended(item: Mapping[str, Any]) -> str:
    if item.get("status") not in {"completed", "failed", "canceled"}:
        return "never"
    return str(item.get("completed_at") or item.get("created_at"))  # an item that was cancelled while it waited


async def items_of(client: ModelServerClient, destination: str) -> list[Item]:
    """All items of a job, with their sessions; those of workflows that its graph calls too."""
    listed = await client.get_json(f"api/v1/queue/{QUEUE}/list_all", params={"destination": destination})
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


async def summaries(client: ModelServerClient) -> list[dict[str, Any]]:
    """The platform's items of all jobs, without their sessions."""
    told = (await client.get_object(f"api/v1/queue/{QUEUE}/item_ids")).get("item_ids")
    listed = told if isinstance(told, list) else []
    found = []
    for start in range(0, len(listed), _MAX_IDS):
        body = {"item_ids": listed[start : start + _MAX_IDS]}
        answer = await client.send("POST", f"api/v1/queue/{QUEUE}/item_summaries_by_ids", json=body)
        if answer.status != HTTPStatus.OK:
            raise ServerError(f"The model server answers {answer.status} to item_summaries_by_ids.")
        page = answer.json()
        found += [
            item
            for item in map(as_object, page if isinstance(page, list) else ())
            if item.get("origin") == ORIGIN and isinstance(item.get("destination"), str)
        ]
    return found
