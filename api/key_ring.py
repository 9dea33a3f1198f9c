"""The API's keys in a shell that reads them from a file, and whom requests without a key stand for."""

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from api.authorizer import sent_key
from api.http import Caller

_NOBODYS = (".local", ".localhost", ".internal")
"""How names end that nobody can register."""


class KeyRing:
    """The API's keys, kept in memory as hashes. The file is JSON: a list of {key, id, role, …}.

    Requests without a key are those of the key with the id ``keyless``, as far as they come from programs or from pages
    of the API's own; without it, nobody's. Raises ValueError if there is no such id.

    Attributes:
        ids: JSON with what each key may do, by its id, as ``Caller.of`` reads it: a link to a picture names an id.
    """

    def __init__(self, path: Path, keyless: str = "") -> None:
        rows = json.loads(path.read_text(encoding="utf-8"))
        may = {row["id"]: {name: value for name, value in row.items() if name != "key"} for row in rows}
        if keyless and keyless not in may:
            raise ValueError(f"There is no key with the id {keyless}; there are {', '.join(may) or 'none'}.")
        self.ids = json.dumps(may)
        self._callers = {_hash(row["key"]): Caller.of(row["id"], self.ids) for row in rows}
        self._keyless = replace(Caller.of(keyless, self.ids), is_admin=False) if keyless else None

    def caller(self, headers: Mapping[str, str]) -> Caller:
        """Who sends a request; a caller without a tenant if that is unknown."""
        key = sent_key(headers)
        if not key and self._keyless is not None and _is_trusted(headers):
            return self._keyless
        return self._callers.get(_hash(key), Caller())


def _is_trusted(headers: Mapping[str, str]) -> bool:
    """Whether a request without a key comes from a program, or from a page of this very origin.

    A browser sends the requests of any page to this machine, and says of which origin the page is (Fetch Standard,
    "Origin"; Fetch Metadata). Where a page's own name has been made to lead here (DNS rebinding), Host has that name.
    """
    host, origin = headers.get("host", "").lower(), headers.get("origin", "").lower()
    try:
        name = urlsplit(f"//{host}").hostname or ""
        is_foreign = bool(origin) and urlsplit(origin).netloc != host
    except ValueError:
        return False
    is_ours = "." not in name or name.endswith(_NOBODYS) or _is_address(name)
    return is_ours and not is_foreign and headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
