"""Models as InvokeAI's graphs name them: by key and hash, or by name, base and type.

A server draws the key when a model is installed, so only name, base and type mean the same on every server.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contract.field_errors import FieldPath, cut
from runtimes.live import InstalledModel, there_are

_PORTABLE = ("name", "base", "type")
_MAX_NAME_CHARACTERS = 200


def models_in(value: Any, at: FieldPath) -> Iterator[tuple[FieldPath, dict[str, Any]]]:
    """All models that a value names, at any depth, with their paths."""
    if isinstance(value, dict):
        if is_model(value):
            yield at, value
        else:
            for key, item in value.items():
                yield from models_in(item, (*at, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from models_in(item, (*at, number))


def is_model(value: Mapping[str, Any]) -> bool:
    """Whether an object names a model."""
    return is_portable(value) or all(isinstance(value.get(key), str) for key in ("key", "hash"))


def is_portable(model: Mapping[str, Any]) -> bool:
    """Whether it can be looked up on any server."""
    return all(isinstance(model.get(key), str) for key in _PORTABLE)


def unknown_model(model: Mapping[str, Any], known: Iterable[InstalledModel]) -> str:
    """Say that the server lacks a model, and which it has of its type."""
    name, base, kind = (cut(str(model.get(key)), _MAX_NAME_CHARACTERS) for key in _PORTABLE)
    same_type = [one for one in known if one.type == model.get("type")]
    here = [one for one in same_type if one.base == model.get("base")] or same_type
    names = [f"{one.name} ({one.base})" for one in here]
    return f"names a model that the server does not have: {name} ({base}, {kind}){there_are(names, f'{name} ({base})')}"
