"""The section of config.yaml for dialects: what clients of other APIs call the runtimes."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from contract.field_errors import FieldError, field_errors_of, one_of, shown, suggestion
from contract.models import Form, Section
from runtimes.catalog import ModelName
from runtimes.pictures import PictureRequest

DialectName = Literal["openai", "replicate", "fal", "runpod", "sdwebui", "comfy", "comfyui"]

_WORDS = "1 to 128 letters, digits and . _ : - in parts with single slashes between them"
_Name = Annotated[str, Form(r"^[A-Za-z0-9._:-]+(/[A-Za-z0-9._:-]+)*$", _WORDS), Field(max_length=128)]


def _of_a_picture(defaults: dict[str, Any]) -> dict[str, Any]:
    given = {"prompt": "a", **defaults}
    try:
        PictureRequest.model_validate(given)
    except ValidationError as exc:
        found = field_errors_of(exc, PictureRequest, given)
        raise ValueError("; ".join(f"{one.pointer} {one.detail}" for one in found)) from None
    return defaults


class NamedModel(Section):
    """A model by the name that clients send, such as gpt-image-1."""

    runtime: str
    """The runtime that draws its pictures."""
    defaults: Annotated[dict[str, Any], AfterValidator(_of_a_picture)] = {}
    """Parameters of pictures for which a client sends nothing, such as `steps: 4`, by the names of GET /v1/pictures."""


class DialectModels(Section):
    """Names that clients of openai, replicate, fal, runpod, sdwebui, comfy or comfyui (NAME) have for the runtimes."""

    models: dict[_Name, NamedModel] = {}
    """By the names that clients send, such as gpt-image-1."""


def model_names(dialects: Mapping[DialectName, DialectModels], runtime: str) -> Iterator[ModelName]:
    """The names that dialects have for a runtime."""
    for dialect, section in dialects.items():
        for name, model in section.models.items():
            if model.runtime == runtime:
                yield ModelName(dialect=dialect, name=name, defaults=model.defaults)


def dialect_errors(dialects: Any, runtimes: Mapping[str, Mapping[Any, Any]]) -> Iterator[FieldError]:
    """Models of runtimes that the file does not have; ``runtimes`` are those of the file by their place."""
    known = [str(one.get("name")) for one in runtimes.values() if one.get("disabled") is not True]
    for dialect, section in _mappings(dialects):
        for name, model in _mappings(section.get("models")):
            runtime = model.get("runtime")
            if isinstance(runtime, str) and runtime and runtime not in known:
                detail = f"{shown(runtime)} is no runtime of this file; use {one_of(known)}{suggestion(runtime, known)}"
                yield FieldError(f"dialects.{dialect}.models.{name}.runtime", detail)


def _mappings(value: Any) -> list[tuple[Any, Mapping[Any, Any]]]:
    return [(key, one) for key, one in value.items() if isinstance(one, dict)] if isinstance(value, dict) else []
