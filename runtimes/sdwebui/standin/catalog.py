"""The fixed lists that SD WebUI shows: samplers, schedulers, upscalers, scripts."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from runtimes.sdwebui.standin.errors import BrokenError

_CATALOG = Path(__file__).with_name("catalog.json")

ALWAYS_ON = frozenset({"controlnet", "animatediff", "adetailer"})


@cache
def catalog() -> dict[str, Any]:
    """Return every list by name."""
    lists: dict[str, Any] = json.loads(_CATALOG.read_text())
    return lists


def resolve_sampler(name: str, scheduler: str | None) -> tuple[str, str]:
    """Return the sampler and the schedule that a request gets; names that do not exist silently become others."""
    samplers, schedulers = catalog()["samplers"], catalog()["schedulers"]
    found = next((one for one in schedulers if scheduler in (one["name"], one["label"])), schedulers[0])
    for one in schedulers:
        if name.endswith(" " + one["label"]):
            name, found = name.removesuffix(" " + one["label"]), one
    sampler = next((one for one in samplers if name == one["name"] or name in one["aliases"]), samplers[0])
    if found is schedulers[0]:
        own = sampler["options"].get("scheduler")
        found = next((one for one in schedulers if one["name"] == own), found)
    return str(sampler["name"]), str(found["label"])


def require_upscaler(name: str, error: str) -> None:
    """Do nothing if there is an upscaler of that name.

    Raises:
        BrokenError: There is none; `error` is the class of exception that the real server raises at this place.
    """
    if all(one["name"] != name for one in catalog()["upscalers"]):
        raise BrokenError(error, f"could not find upscaler named {name}")
