"""The bodies that SD WebUI takes, checked as pydantic 1 checks them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from runtimes.sdwebui.standin.errors import InvalidError, field_error

_SCHEMAS: dict[str, dict[str, list[Any]]] = json.loads(Path(__file__).with_name("schema.json").read_text())
"""By path: each field's type ("?" where null may come) and default. A field without a default is required."""


class WrongError(Exception):
    """A value does not fit its type; `path` leads on from the field into the value."""

    def __init__(self, message: str, kind: str, path: tuple[str | int, ...] = (), **context: object) -> None:
        super().__init__(message)
        self.kind = kind
        self.path = path
        self.context = context


def take_int(value: Any) -> int:
    """Return a whole number as pydantic 1 reads it: fractions are cut off, digits in text count."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongError("value is not a valid integer", "type_error.integer") from error


def take_float(value: Any) -> float:
    """Return a number, also from text."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongError("value is not a valid float", "type_error.float") from error


def take_str(value: Any) -> str:
    """Return text, also from a number."""
    if isinstance(value, str | int | float):
        return str(value)
    raise WrongError("str type expected", "type_error.str")


def take_bool(value: Any) -> bool:
    """Return a truth value, also from the usual words for one."""
    word = value.lower() if isinstance(value, str) else value
    if isinstance(word, str | int | float):
        if word in {1, "1", "on", "t", "true", "y", "yes"}:
            return True
        if word in {0, "0", "off", "f", "false", "n", "no"}:
            return False
    raise WrongError("value could not be parsed to a boolean", "type_error.bool")


def take_list(value: Any) -> list[Any]:
    """Return a list of anything."""
    if isinstance(value, list):
        return value
    raise WrongError("value is not a valid list", "type_error.list")


def _take_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise WrongError("value is not a valid dict", "type_error.dict")


def _take_words(value: Any) -> list[str]:
    words = []
    for index, one in enumerate(take_list(value)):
        try:
            words.append(take_str(one))
        except WrongError as error:
            raise WrongError(str(error), error.kind, (index,)) from error
    return words


def _take_files(value: Any) -> list[dict[str, str]]:
    files = []
    for index, one in enumerate(take_list(value)):
        for key in ("data", "name"):
            if key not in _take_dict(one):
                raise WrongError("field required", "value_error.missing", (index, key))
        files.append({"data": take_str(one["data"]), "name": take_str(one["name"])})
    return files


def _limited(take: Callable[[Any], Any], least: float, most: float | None = None) -> Callable[[Any], Any]:
    """A reader of numbers from `least` to `most`, both allowed."""

    def taken(value: Any) -> Any:
        number = take(value)
        if number < least:
            words = f"ensure this value is greater than or equal to {least}"
            raise WrongError(words, "value_error.number.not_ge", limit_value=least)
        if most is not None and number > most:
            words = f"ensure this value is less than or equal to {most}"
            raise WrongError(words, "value_error.number.not_le", limit_value=most)
        return number

    return taken


def _take_factor(value: Any) -> float:
    number = take_float(value)
    if number <= 0:
        raise WrongError("ensure this value is greater than 0", "value_error.number.not_gt", limit_value=0)
    return number


def _take_resize_mode(value: Any) -> int:
    if value not in (0, 1) or isinstance(value, bool):
        raise WrongError("unexpected value; permitted: 0, 1", "value_error.const", given=value, permitted=[0, 1])
    return int(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "int": take_int,
    "float": take_float,
    "str": take_str,
    "bool": take_bool,
    "list": take_list,
    "dict": _take_dict,
    "words": _take_words,
    "files": _take_files,
    "share": _limited(take_float, 0, 1),
    "pixels": _limited(take_int, 1),
    "factor": _take_factor,
    "resize_mode": _take_resize_mode,
}


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises:
        InvalidError: The body is missing, no JSON or no object.
    """
    text = await request.read()
    if not text:
        raise InvalidError([field_error(["body"], "field required", "value_error.missing")])
    try:
        body = json.loads(text)
    except json.JSONDecodeError as error:
        context = {"msg": error.msg, "doc": error.doc, "pos": error.pos, "lineno": error.lineno, "colno": error.colno}
        raise InvalidError(
            [field_error(["body", error.pos], str(error), "value_error.jsondecode", **context)]
        ) from error
    if not isinstance(body, dict):
        raise InvalidError([field_error(["body"], "value is not a valid dict", "type_error.dict")])
    return body


async def read_body(request: web.Request, name: str) -> dict[str, Any]:
    """Return every field of the named schema; unknown fields are dropped in silence.

    Raises:
        InvalidError: The body does not fit; all errors are named.
    """
    body = await read_object(request)
    values: dict[str, Any] = {}
    errors: list[dict[str, Any]] = []
    for key, (kind, *default) in _SCHEMAS[name].items():
        value = body.get(key)
        if key not in body and not default:
            errors.append(field_error(["body", key], "field required", "value_error.missing"))
        elif key not in body:
            values[key] = default[0]
        elif value is None and not kind.endswith("?"):
            errors.append(field_error(["body", key], "none is not an allowed value", "type_error.none.not_allowed"))
        else:
            try:
                values[key] = None if value is None else _READERS[kind.removesuffix("?")](value)
            except WrongError as error:
                errors.append(field_error(["body", key, *error.path], str(error), error.kind, **error.context))
    if errors:
        raise InvalidError(errors)
    return values
