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
"""Fields of requests, and the server's lists that hold what each takes."""


async def correct_upscalers(body: dict[str, Any], client: ModelServerClient) -> None:
    """Write every upscaler in a request as the server does.

    Raises:
        Rejected: There is no such upscaler; the message lists those there are.
    """
    for field, lists in _LISTS.items():
        wanted = body.get(field)
        if not isinstance(wanted, str) or not wanted:
            continue
        known = [name for path in lists for name in await _names(client, path)]
        body[field] = next((name for name in known if name.casefold() == wanted.casefold()), None)
        if body[field] is None:
            raise Rejected(f"There is no upscaler {shorten_name(wanted)}; there are: {', '.join(known)}.")


async def _names(client: ModelServerClient, path: str) -> list[str]:
    entries = await client.get_json(path)
    if not isinstance(entries, list):
        raise ServerError(f"The model server's response to {path} is not a list.")
    return [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]
