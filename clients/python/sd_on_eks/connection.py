"""The API's URL and key, and where they come from."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typing_extensions import Self

from sd_on_eks.errors import NotConfigured

URL_VARIABLE, KEY_VARIABLE = "SD_URL", "SD_API_KEY"
STACK_FILE = Path(".local", "stack.json")
"""`make up` writes it in a checkout of sd-on-eks."""


@dataclass(frozen=True)
class Connection:
    """The API's URL with its stage, its key, and where both were found."""

    url: str
    api_key: str = field(repr=False)
    source: str

    @classmethod
    def find(cls, url: str | None = None, api_key: str | None = None) -> Self:
        """Find the URL and the key: arguments, else environment, else saved file, else the platform in this folder.

        A key found together with one URL is never sent to another.

        Raises:
            NotConfigured: One or both are missing or unusable.
        """
        of_environment = os.environ.get(URL_VARIABLE), os.environ.get(KEY_VARIABLE)
        if url and of_environment[0] and url.rstrip("/") != of_environment[0].rstrip("/"):
            of_environment = None, None
        given = url or of_environment[0], api_key or of_environment[1]
        if any(given):
            if not all(given):
                known, missing = (URL_VARIABLE, KEY_VARIABLE) if given[0] else (KEY_VARIABLE, URL_VARIABLE)
                raise NotConfigured(f"{known} is set, but {missing} is not: set both.")
            source = "the arguments" if url and api_key else f"{URL_VARIABLE} and {KEY_VARIABLE}"
            return cls._checked(given[0], given[1], source)
        for file, url_name, key_name in (
            (saved_file(), "url", "api_key"),
            (STACK_FILE, "FrontApiEndpoint", "ApiKey"),
        ):
            if file.is_file():
                saved = _read(file)
                return cls._checked(saved.get(url_name), saved.get(key_name), str(file))
        raise NotConfigured(
            f"No URL and key of the API were found. Set {URL_VARIABLE} and {KEY_VARIABLE}, save them with "
            "`sd key --save`, or start the platform in a checkout with `make up`."
        )

    @classmethod
    def _checked(cls, url: Any, api_key: Any, source: str) -> Self:
        if not str(url).startswith(("https://", "http://")):
            raise NotConfigured(f"{url!r}, from {source}, is not a URL such as https://example.com/prod.")
        if not (api_key and str(api_key).isascii() and str(api_key).isprintable()):
            raise NotConfigured(f"The key from {source} is empty, or has characters that no key has.")
        return cls(str(url).rstrip("/"), str(api_key), source)

    def save(self) -> Path:
        """Save both for later use, in a file that only its owner can read. Returns its path."""
        file = saved_file()
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.new")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps({"url": self.url, "api_key": self.api_key}) + "\n", encoding="utf-8")
        draft.replace(file)
        return file


def saved_file() -> Path:
    """Return the path of the saved settings."""
    home = os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "sd-on-eks" / "client.json"


def _read(file: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise NotConfigured(f"{file} cannot be read: {exc}") from exc
    return found if isinstance(found, dict) else {}
