"""The API key, in a file that only its owner can read, so that it stays the same."""

import secrets
from pathlib import Path


class KeyFileError(Exception):
    """A file contains no API key."""


def new_key() -> str:
    """Generate a random key."""
    return secrets.token_urlsafe(30)


def stored_key(path: Path) -> str:
    """Read the key; create the file with a new one if it does not exist.

    Raises:
        KeyFileError: The file contains something else.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(new_key() + "\n", encoding="ascii")
    key = path.read_text(encoding="utf-8", errors="replace").strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise KeyFileError(f"{path} holds no API key: one line of ASCII characters without blanks.")
    return key
