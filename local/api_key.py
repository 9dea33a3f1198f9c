"""The API's keys, in files that only their owner can read, so that they stay the same."""

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from configuration.api import ApiKey

API_KEY_ID = "local0key0"
"""Id of the first key, and so the tenant; the other keys' ids are their names."""


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
        draft = path.with_name(f"{path.name}.new")
        draft.touch(mode=0o600)
        with draft.open("w", encoding="ascii") as file:
            file.write(new_key() + "\n")
            file.flush()
            os.fsync(file.fileno())  # what it signs may outlive a power cut
        draft.replace(path)
    key = path.read_text(encoding="utf-8", errors="replace").strip()
    if not key or not all("!" <= character <= "~" for character in key):
        raise KeyFileError(f"{path} holds no API key: one line of ASCII characters without blanks.")
    return key


def write_keys(path: Path, configured: Sequence[ApiKey], first: str) -> None:
    """Write a file for ``api.key_ring.KeyRing`` and ``key_ids``: each key with its id, and what it may do.

    The first of the configured keys is ``first``; the others are in files beside this one.
    """
    rows = [
        {"key": key, "id": key_id, **one.model_dump(exclude_none=True)}
        for number, one in enumerate(configured)
        for key, key_id in [
            (first, API_KEY_ID) if number == 0 else (stored_key(path.with_name(f"{one.name}.key")), one.name)
        ]
    ]
    path.touch(mode=0o600)
    path.write_text(json.dumps(rows), encoding="utf-8")


def key_ids(path: Path) -> tuple[dict[str, str], str]:
    """The id of each key of such a file, and what each id may do as the Lambda's API_KEYS says it."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    may = {row["id"]: {name: value for name, value in row.items() if name != "key"} for row in rows}
    return {row["key"]: row["id"] for row in rows}, json.dumps(may)
