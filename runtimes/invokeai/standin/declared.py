"""The node types that the stand-in has, as the real server's OpenAPI document declares them."""

import json
import re
from pathlib import Path
from typing import Any

OPENAPI: dict[str, Any] = json.loads((Path(__file__).parent / "openapi.json").read_text())

_SCHEMAS = OPENAPI["components"]["schemas"]
_REFERENCE = re.compile(r"#/components/schemas/(\w+)")

DECLARED: dict[str, dict[str, Any]] = {
    schema["properties"]["type"]["const"]: schema for schema in _SCHEMAS.values() if schema["class"] == "invocation"
}
"""The schemas of nodes by type."""


def output_of(node_type: str) -> dict[str, Any]:
    """The fields of what a node gives."""
    schema = _SCHEMAS[DECLARED[node_type]["output"]["$ref"].rsplit("/", 1)[1]]
    fields: dict[str, Any] = schema["properties"]
    return fields


def types_of(declared: dict[str, Any]) -> set[str]:
    """The names of the types of a field; a list of pictures counts as a picture."""
    found = set()
    for one in declared.get("anyOf") or [declared]:
        if "$ref" in one:
            found.update(_REFERENCE.findall(one["$ref"]))
        elif one.get("type") == "array":
            found |= types_of(one["items"])
        elif one.get("type") not in {None, "null"}:
            found.add(one["type"])
    return found


def takes_null(declared: dict[str, Any]) -> bool:
    """Whether a field may be null."""
    return any(one.get("type") == "null" for one in declared.get("anyOf", ()))
