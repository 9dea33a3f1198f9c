"""Reads what InvokeAI has: its models, and its node types with their inputs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runtimes._http import as_object
from runtimes.live import InstalledModel, LiveCatalog, Named, NodeClass, NodeInput

_LISTED_AS = {"models": "main", "loras": "lora", "vaes": "vae", "upscalers": "spandrel_image_to_image"}
_REFERENCE = re.compile(r"#/components/schemas/(\w+)")
_FILE_TYPES = frozenset({"ImageField", "VideoField"})


def catalog_of(models: Any, openapi: Mapping[str, Any]) -> LiveCatalog:
    """What a server has, by its list of models and its OpenAPI document."""
    installed = tuple(installed_in(models))
    names = {
        kind: tuple(Named(name=name) for name in dict.fromkeys(one.name for one in installed if one.type == model_type))
        for kind, model_type in _LISTED_AS.items()
    }
    schemas = as_object(as_object(openapi.get("components")).get("schemas"))
    nodes = {
        node_type: NodeClass(module=str(schema.get("node_pack") or ""), inputs=dict(_inputs(schema)))
        for schema in schemas.values()
        if isinstance(schema, dict)
        and schema.get("class") == "invocation"
        and isinstance(node_type := _property(schema, "type").get("const"), str)
    }
    return LiveCatalog(**names, installed=installed, nodes=nodes or None)


def installed_in(models: Any) -> Iterator[InstalledModel]:
    """The models of a list, as the server gives it."""
    for record in as_object(models).get("models") or ():
        match record:
            case {"name": str(name), "base": str(base), "type": str(model_type)}:
                yield InstalledModel(name=name, base=base, type=model_type)


def _inputs(schema: Mapping[str, Any]) -> Iterator[tuple[str, NodeInput]]:
    for name, declared in as_object(schema.get("properties")).items():
        if not isinstance(declared, dict) or declared.get("field_kind") not in {"input", "internal"}:
            continue
        types = [*_types(declared)]
        default = declared.get("orig_default")
        yield (
            name,
            NodeInput(
                type=next(iter(types), "any"),
                is_required=declared.get("field_kind") == "input" and declared.get("orig_required") is True,
                takes_file=any(one in _FILE_TYPES for one in types),
                default=default if isinstance(default, str | int | float | bool) else None,
            ),
        )


def _types(declared: Mapping[str, Any]) -> Iterator[str]:
    """The names of the types that a field takes, lists being told from what is in them by nothing."""
    for one in declared.get("anyOf") or [declared]:
        if not isinstance(one, dict):
            continue
        if isinstance(reference := one.get("$ref"), str) and (found := _REFERENCE.fullmatch(reference)):
            yield found[1]
        elif one.get("type") == "array":
            yield from _types(as_object(one.get("items")))
        elif isinstance(plain := one.get("type"), str) and plain != "null":
            yield plain


def _property(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    return as_object(as_object(schema.get("properties")).get(name))
