"""JSON by RFC 8259, for bytes from outside: no NaN, no infinities, no lone surrogates, no bottomless nesting."""

import json
import math
import re
from typing import Any, NoReturn

MAX_DEPTH = 100
"""Levels of nesting; far below the depth that exhausts Python's stack."""
MAX_VALUES = 100_000
"""In a document from outside: more values take seconds to read and check, and many times the document's memory."""

_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str | bytes, *, max_values: int | None = MAX_VALUES) -> Any:
    """Read JSON.

    Args:
        text: The JSON.
        max_values: How many values it may have, including lists and objects; None for any number.

    Raises:
        ValueError: It is not JSON, or contains a value that JSON does not allow; the message says what and where.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")  # some programs write a mark before UTF-8
        _check_count(text, max_values)
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite_float)
        _check_depth(value)
        if _SURROGATE_ESCAPE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except UnicodeDecodeError as exc:
        raise ValueError(f"is not UTF-8 (byte {exc.start})") from None
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair") from None
    except json.JSONDecodeError as exc:
        raise ValueError(f"is not JSON: {exc.msg} (line {exc.lineno}, column {exc.colno})") from None
    except ValueError as exc:
        if "integer string conversion" in str(exc):
            raise ValueError("holds a number with too many digits") from None
        raise
    return value


def dumps(value: Any) -> str:
    """Write JSON for the wire: compact and in ASCII, so that its length is its size in bytes.

    SQS rejects some characters that JSON allows unescaped (U+FFFE and U+FFFF), but accepts their escapes.
    """
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def utf8(value: Any) -> str:
    """Write JSON compactly, with the letters of all languages unescaped, which is readable and shorter."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def utf8_size(value: Any) -> int:
    """Size in bytes of a JSON value written as UTF-8."""
    return len(utf8(value).encode("utf-8", "surrogatepass"))


def _check_count(text: str, max_values: int | None) -> None:
    """Count values before any is created: each follows another one, or starts a list or object."""
    if max_values is None or _count_values(text, 0, len(text)) <= max_values:
        return
    # With find, not with a pattern: on a string of 16 MiB a pattern holds the interpreter's lock for 0.2 s.
    count = position = 0
    while position < len(text):
        quote = text.find('"', position)
        end = len(text) if quote < 0 else quote
        count += _count_values(text, position, end)
        if count > max_values:
            raise ValueError(f"holds more than {max_values} values")
        position = _after_string(text, end)


def _count_values(text: str, start: int, end: int) -> int:
    return sum(text.count(mark, start, end) for mark in ",[{")


def _after_string(text: str, quote: int) -> int:
    """Position after the string that starts at a quote."""
    position = quote + 1
    while (end := text.find('"', position)) >= 0:
        before = text[position:end]
        position = end + 1
        if (len(before) - len(before.rstrip("\\"))) % 2 == 0:
            return position
    return len(text)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            if isinstance(container, dict | list)
            for item in (container.values() if isinstance(container, dict) else container)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no JSON number")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"holds the number {digits[:20]}, which is too large")
    return value
