"""DynamoDB's notation: typed values, and expressions with the names and values they mention."""

import re
from collections.abc import Mapping
from typing import Any

Value = Mapping[str, Any]
Item = Mapping[str, Value]
"""An item as DynamoDB's API writes it: every value under the letter of its type."""
Request = dict[str, Any]
"""Keyword arguments of one call of a DynamoDB client."""


def write_value(value: str | float | bool) -> Value:
    """Write a value: text, number or truth; times keep their milliseconds."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, float):
        return {"N": f"{value:.3f}"}
    return {"S": str(value)}


def read_values(item: Item) -> dict[str, Any]:
    """Read an item's values; numbers come as floats."""
    return {
        name: float(content) if kind == "N" else content
        for name, value in item.items()
        for kind, content in value.items()
    }


def expressions(texts: Mapping[str, str], **values: Any) -> Request:
    """Expressions and what they mention: ``#name`` is an attribute, ``:name`` a value.

    Every attribute goes by an alias, because many plain words are reserved.
    """
    names = sorted(set(re.findall(r"#(\w+)", " ".join(texts.values()))))
    request: Request = {**texts, "ExpressionAttributeNames": {f"#{name}": name for name in names}}
    if values:
        request["ExpressionAttributeValues"] = {f":{name}": write_value(value) for name, value in values.items()}
    return request
