"""SD WebUI's options: the defaults, what was saved over them, and the traps between the two."""

import json
from pathlib import Path
from typing import Any

from runtimes.sdwebui.standin.errors import BrokenError
from runtimes.sdwebui.standin.schema import WrongError, take_bool, take_float, take_list, take_str

_DEFAULTS = Path(__file__).with_name("options.json")

# The real server types an option after its default, and not at all where the default is empty.
_READERS = {bool: take_bool, int: take_float, float: take_float, str: take_str, list: take_list}


class WebuiOptions:
    """The options of one server; `saved` holds those that were ever set."""

    def __init__(self) -> None:
        self.defaults: dict[str, Any] = json.loads(_DEFAULTS.read_text())
        self.saved: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        return self.saved.get(key, self.defaults[key])

    def set(self, key: str, value: object) -> None:
        """Set an option to anything at all: its type is not looked at.

        Raises:
            BrokenError: There is no such option.
        """
        if key not in self.defaults:
            raise BrokenError("KeyError", repr(key))
        self.saved[key] = value

    def stored(self, keys: list[str]) -> dict[str, Any]:
        """Return what an override of the keys gives back afterwards: only those ever set, so the others stick."""
        return {key: self.saved[key] for key in keys if key in self.saved}

    def as_json(self) -> dict[str, Any]:
        """Return every option.

        Raises:
            BrokenError: A value that was set has another type than its default.
        """
        shown = dict(self.defaults)
        errors = []
        for key, value in self.saved.items():
            default = self.defaults[key]
            try:
                typed = default and value is not None
                shown[key] = _READERS[type(default)](value) if typed else value
            except WrongError as error:
                errors.append(f"response -> {key}\n  {error} (type={error.kind})")
        if errors:
            many = "s" if len(errors) > 1 else ""
            raise BrokenError(
                "ValidationError", "\n".join([f"{len(errors)} validation error{many} for Options", *errors])
            )
        return shown
