"""Reads what SD WebUI has: its lists of checkpoints, LoRAs, VAEs, samplers, schedulers and upscalers."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from queue_agent.errors import ServerError
from runtimes._http import ModelServerClient
from runtimes.live import LiveCatalog, Named

_REFRESH_S = 20.0
"""The server looks for new checkpoints between two jobs."""
_MAX_LORAS_BYTES = 16 * 1024 * 1024
"""The list of LoRAs includes the metadata in their files."""


class CatalogReader:
    """Reads the server's lists; ``refreshes`` says whether tasks may ask for checkpoints that came later."""

    def __init__(self, client: ModelServerClient, *, refreshes: bool) -> None:
        self._client = client
        self._refreshes = refreshes
        self._unread: set[str] = set()

    async def read(self) -> LiveCatalog:
        """Read all lists.

        Raises:
            ServerError: The server does not answer, or a job has run for too long to look for new checkpoints.
        """
        if self._refreshes:
            answer = await self._client.send("POST", "refresh-checkpoints", json={}, timeout_s=_REFRESH_S)
            if answer.status != HTTPStatus.OK:
                raise ServerError(f"The model server answers {answer.status} to refresh-checkpoints.")
        upscalers = [*await self._list("latent-upscale-modes"), *await self._list("upscalers")]
        return LiveCatalog(
            models=_names(await self._list("sd-models"), _checkpoint),
            loras=_names(
                await self._list_if_any("loras", max_bytes=_MAX_LORAS_BYTES),
                lambda lora: (lora.get("name"), lora.get("alias")),
            ),
            vaes=_names(await self._list_if_any("sd-vae"), lambda vae: (vae.get("model_name"),)),
            samplers=_names(await self._list("samplers"), lambda one: (one.get("name"), *_texts(one.get("aliases")))),
            schedulers=_names(
                await self._list("schedulers"),
                lambda one: (one.get("label"), one.get("name"), *_texts(one.get("aliases"))),
            ),
            upscalers=_names(upscalers, lambda one: (one.get("name"),)),
        )

    async def _list_if_any(self, path: str, **options: Any) -> list[Any]:
        """A list; empty if the server does not have it, or if it is too long to be read every few minutes."""
        if path in self._unread:
            return []
        try:
            return await self._list(path, **options)
        except ServerError:
            self._unread.add(path)
            return []

    async def _list(self, path: str, **options: Any) -> list[Any]:
        answer = await self._client.get_json(path, **options)
        return answer if isinstance(answer, list) else []


def _checkpoint(model: dict[str, Any]) -> tuple[Any, ...]:
    """A checkpoint's title, and what tasks may call it instead."""
    filename = str(model.get("filename", "")).replace("\\", "/").rpartition("/")[2]
    return model.get("title"), model.get("model_name"), filename, model.get("hash"), model.get("sha256")


def _names(entries: list[Any], names_of: Callable[[dict[str, Any]], tuple[Any, ...]]) -> tuple[Named, ...]:
    found = []
    for entry in entries:
        name, *others = names_of(entry) if isinstance(entry, dict) else (None,)
        if isinstance(name, str) and name:
            aliases = tuple(other for other in dict.fromkeys(_texts(others)) if other and other != name)
            found.append(Named(name=name, aliases=aliases))
    return tuple(found)


def _texts(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
