"""Names of upscalers: SD WebUI compares them case by case, people do not."""

from typing import Any

from queue_agent.errors import Rejected, ServerError
from runtimes._http import ModelServerClient
from runtimes._wording import shorten_name

_LISTS = {
    "upscaler_1": ("upscalers",),
    "upscaler_2": ("upscalers",),
    "hr_upscaler": ("latent-upscale-modes", "upscalers"),
}
"""Fields of requests, and the lists that hold what each takes."""


class Upscalers:
    """The upscalers that the server has."""

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._names: dict[str, dict[str, str]] = {}

    async def correct(self, body: dict[str, Any]) -> None:
        """Write every upscaler in a request as the server does.

        Raises:
            Rejected: There is no such upscaler; the message lists those there are.
        """
        for field, lists in _LISTS.items():
            wanted = body.get(field)
            if isinstance(wanted, str) and wanted:
                body[field] = self._find(wanted, lists) or await self._find_again(wanted, lists)

    def _find(self, wanted: str, lists: tuple[str, ...]) -> str | None:
        for name in lists:
            if found := self._names.get(name, {}).get(wanted.casefold()):
                return found
        return None

    async def _find_again(self, wanted: str, lists: tuple[str, ...]) -> str:
        for name in lists:
            entries = await self._client.get_json(name)
            if not isinstance(entries, list):
                raise ServerError(f"The model server's response to {name} is not a list.")
            names = [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]
            self._names[name] = {known.casefold(): known for known in names}
        found = self._find(wanted, lists)
        if found is None:
            known = [known for name in lists for known in self._names[name].values()]
            raise Rejected(f"There is no upscaler {shorten_name(wanted)}; there are: {', '.join(known)}.")
        return found
