"""The API's key in a file of its owner, so that it is the same at each start."""

import secrets
from pathlib import Path


class KeyFileError(Exception):
    """A file holds no API key."""


def new_key() -> str:
    """A key that nobody else has."""
    return secrets.token_urlsafe(30)


def stored_key(path: Path) -> str:
    """Read the key; make one where there is no such file.

    Raises:
        KeyFileError: The file holds something else.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(new_key() + "\n", encoding="ascii")
    key = path.read_text(encoding="utf-8", errors="replace").strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise KeyFileError(f"{path} holds no API key: one line of ASCII characters without blanks.")
    return key
