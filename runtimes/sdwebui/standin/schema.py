"""The bodies that SD WebUI accepts, with the checks and messages of pydantic 1."""

import json
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from runtimes.sdwebui.standin.errors import invalid

_SCHEMAS: dict[str, dict[str, list[Any]]] = json.loads(Path(__file__).with_name("schema.json").read_text())
"""By path: each field's type ("?" allows null), default and limits. A field without a default is required."""
_BOOLS = dict.fromkeys((1, "1", "on", "t", "true", "y", "yes"), True) | dict.fromkeys(
    (0, "0", "off", "f", "false", "n", "no"), False
)


def _only(*kinds: type) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        if not isinstance(value, kinds):
            raise TypeError
        return value

    return take


_TYPES: dict[str, tuple[Callable[[Any], Any], str, str]] = {
    "int": (int, "value is not a valid integer", "type_error.integer"),
    "float": (float, "value is not a valid float", "type_error.float"),
    "str": (lambda value: str(_only(str, int, float)(value)), "str type expected", "type_error.str"),
    "bool": (
        lambda value: _BOOLS[value.lower() if isinstance(value, str) else value],
        "value could not be parsed to a boolean",
        "type_error.bool",
    ),
    "list": (_only(list), "value is not a valid list", "type_error.list"),
    "dict": (_only(dict), "value is not a valid dict", "type_error.dict"),
}
"""How to convert a value (fractions are truncated, text with digits is a number), and the error if that fails."""
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str, str]] = {
    "gt": (operator.gt, "ensure this value is greater than {}", "value_error.number.not_gt"),
    "ge": (operator.ge, "ensure this value is greater than or equal to {}", "value_error.number.not_ge"),
    "le": (operator.le, "ensure this value is less than or equal to {}", "value_error.number.not_le"),
}


class _UnfitError(Exception):
    """A value does not fit its field; the arguments are the error's message, type and context."""


def _read(value: Any, kind: str, limits: dict[str, Any]) -> Any:
    if value is None and kind.endswith("?"):
        return None
    if value is None:
        raise _UnfitError("none is not an allowed value", "type_error.none.not_allowed")
    take, *unfit = _TYPES[kind.removesuffix("?")]
    try:
        taken = take(value)
    except (TypeError, ValueError, OverflowError, KeyError) as exc:
        raise _UnfitError(*unfit) from exc
    for name, limit in limits.items():
        fits, words, error = _LIMITS[name]
        if not fits(taken, limit):
            raise _UnfitError(words.format(limit), error, {"limit_value": limit})
    return taken


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises:
        WebuiError: The body is not an object.
    """
    body = await request.json()
    if not isinstance(body, dict):
        raise invalid((["body"], *_TYPES["dict"][1:]))
    return body


async def read_body(request: web.Request, name: str) -> dict[str, Any]:
    """Return all fields of the named schema; ignore unknown fields.

    Raises:
        WebuiError: The body does not fit; the answer lists all errors.
    """
    body = await read_object(request)
    values: dict[str, Any] = {}
    errors: list[tuple[Any, ...]] = []
    for key, (kind, *more) in _SCHEMAS[name].items():
        if key not in body and more:
            values[key] = more[0]
        elif key not in body:
            errors.append((["body", key], "field required", "value_error.missing"))
        else:
            try:
                values[key] = _read(body[key], kind, dict(*more[1:]))
            except _UnfitError as error:
                errors.append((["body", key], *error.args))
    if errors:
        raise invalid(*errors)
    return values
