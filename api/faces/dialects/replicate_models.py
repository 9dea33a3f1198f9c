"""Replicate's models: their names, versions, and inputs."""

import hashlib
from collections.abc import Mapping
from typing import Any

from api.faces.dialects.dialect import DialectCall, sides_of
from api.http import Answer, Response
from api.operations.models import OWNER, Model, UnknownModelError
from runtimes.pictures import PictureRequest

PARAMETERS: Mapping[str, str] = {
    "n": "num_outputs",
    "steps": "num_inference_steps",
    "guidance": "guidance_scale",
    "strength": "prompt_strength",
    "format": "output_format",
}
"""What inputs of its models are called; the parameters of a picture that are not here have the same names."""
_ALSO = {"guidance": "guidance", "image": "input_image", "steps": "steps"}
"""Names that some of its models have instead."""
_SINCE = "2024-01-01T00:00:00.000Z"
"""Models here have no date, which clients require."""


def models(call: DialectCall) -> Answer:
    """GET /models."""
    names = call.services.models.names(call.dialect, call.tenant)
    results = [_view(name) for name in dict.fromkeys(name.partition(":")[0] for name in names)]
    return Response.json(200, {"previous": None, "next": None, "results": results})


def model(call: DialectCall) -> Answer:
    """GET /models/{owner}/{name}."""
    found = named(call, _name(call))
    return Response.json(200, {**_view(_name(call)), "latest_version": _version(found)})


def versions(call: DialectCall) -> Answer:
    """GET /models/{owner}/{name}/versions."""
    results = [_version(named(call, _name(call)))]
    return Response.json(200, {"previous": None, "next": None, "results": results})


def version(call: DialectCall) -> Answer:
    """GET /models/{owner}/{name}/versions/{id}."""
    return Response.json(200, _version(of_version(call, f"{_name(call)}:{call.path['version']}")))


def named(call: DialectCall, name: str) -> Model:
    """The model of a name, or the first that config.yaml has with a version of it; raises UnknownModelError."""
    try:
        return call.model(name)
    except UnknownModelError:
        names = call.services.models.names(call.dialect, call.tenant)
        if (first := next((one for one in names if one.startswith(f"{name}:")), None)) is None:
            raise
        return call.model(first)


def of_version(call: DialectCall, text: str) -> Model:
    """The model of OWNER/NAME:VERSION, of the id of a version alone, or of a name; raises UnknownModelError.

    An id is one that config.yaml names a model with, or the one that GET of the model tells.
    """
    names = call.services.models.names(call.dialect, call.tenant)
    name, _, version = text.partition(":") if ":" in text else ("", "", text)
    for one in names:
        of_one, _, its_version = one.partition(":")
        if name in ("", of_one, with_owner(of_one)) and version in (its_version, _id_of(one)) and version:
            return call.model(one)
    return call.model(text) if name else named(call, text)


def picture(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of a picture, by the names of ``PictureRequest``; what it does not have is left out."""
    values = {}
    for name in PictureRequest.model_fields:
        value = inputs.get(PARAMETERS.get(name, name))
        values[name] = inputs.get(_ALSO.get(name, "")) if value is None else value
    if values["format"] == "jpg":
        values["format"] = "jpeg"
    if values["width"] is None and (sides := sides_of(inputs.get("aspect_ratio"))) is not None:
        values["width"], values["height"] = sides
    return values


def with_owner(name: str) -> str:
    """A name of two parts, as clients demand."""
    return name if "/" in name else f"{OWNER}/{name}"


def _name(call: DialectCall) -> str:
    return f"{call.path['owner']}/{call.path['name']}"


def _id_of(name: str) -> str:
    """The id of a model's version: 64 hexadecimal digits, as clients demand."""
    return name.partition(":")[2] or hashlib.sha256(with_owner(name).encode()).hexdigest()


def _view(name: str) -> dict[str, Any]:
    owner, _, name = with_owner(name).partition("/")
    links = dict.fromkeys(("description", "github_url", "paper_url", "license_url", "cover_image_url"))
    shown = {"url": f"https://replicate.com/{owner}/{name}", "owner": owner, "name": name, "visibility": "private"}
    return {**shown, **links, "run_count": 0, "default_example": None, "latest_version": None}


def _version(found: Model) -> dict[str, Any]:
    schemas = {"Input": _inputs(found), "Output": {"type": "array", "items": {"type": "string", "format": "uri"}}}
    schema = {"openapi": "3.0.2", "info": {"title": found.name, "version": "1"}, "paths": {}}
    return {
        "id": _id_of(found.name),
        "created_at": _SINCE,
        "cog_version": "0.9.0",
        "openapi_schema": {**schema, "components": {"schemas": schemas}},
    }


def _inputs(found: Model) -> dict[str, Any]:
    if found.workflow is not None:
        return found.workflow.workflow.schema_of_inputs(found.runtime.live())
    schema = PictureRequest.model_json_schema()
    named = ((PARAMETERS.get(name, name), one) for name, one in schema["properties"].items())
    properties = {name: {**one, "x-order": order} for order, (name, one) in enumerate(named)}
    return {"type": "object", "title": "Input", "properties": properties, "required": schema["required"]}
