"""Names of upscalers: SD WebUI compares them case by case, people do not."""

from typing import Any

from queue_agent.errors import Rejected
from queue_agent.runtimes.client import ModelServerClient

_REQUIRED = ("upscaler_1", "upscaler_2")
_OPTIONAL = ("hr_upscaler",)
"""Takes latent modes too, which are no upscalers."""


class Upscalers:
    """The upscalers that the server has.

    Args:
        client: The server.
    """

    def __init__(self, client: ModelServerClient) -> None:
        self._client = client
        self._names: dict[str, str] = {}

    async def correct(self, body: dict[str, Any]) -> None:
        """Write every upscaler in a request as the server does.

        Raises:
            Rejected: There is no such upscaler; the message lists those there are.
        """
        for key in (*_REQUIRED, *_OPTIONAL):
            wanted = body.get(key)
            if not isinstance(wanted, str) or not wanted:
                continue
            if wanted.casefold() not in self._names:
                await self._refresh()
            name = self._names.get(wanted.casefold())
            if name is not None:
                body[key] = name
            elif key in _REQUIRED:
                raise Rejected(f"There is no upscaler {wanted}; there are: {', '.join(self._names.values())}.")

    async def _refresh(self) -> None:
        entries = await self._client.get_json("upscalers")
        names = [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]
        self._names = {name.casefold(): name for name in names}
