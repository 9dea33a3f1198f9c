"""The API's checks of a task's content, by the form of its endpoint."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from contract.field_errors import FieldError, FieldPath, field_errors_of, field_path, suggestion
from runtimes.catalog import DeployedRuntime
from runtimes.flux.checks import request_errors
from runtimes.flux.families import IMAGE_TO_IMAGE, INPAINTING
from runtimes.sagemaker.forms import JumpStartRequest
from runtimes.sagemaker.options import form_of

_NEEDED = {IMAGE_TO_IMAGE: ("image",), INPAINTING: ("image", "mask_image")}


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """The errors of a task's content; an endpoint of another form checks it itself."""
    form = form_of(runtime.options)
    if form == "jumpstart":
        yield from _jumpstart_errors(content, tasktype, at)
    elif form == "flux":
        model = runtime.options.flux
        yield from request_errors(content, tasktype, model and model.card, at)


def warn(content: Mapping[str, Any], _: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """The fields that are not JumpStart's, which a model may know or ignore."""
    if form_of(runtime.options) != "jumpstart":
        return
    known = tuple(JumpStartRequest.model_fields)
    for key in content:
        if key not in known:
            yield FieldError(field_path((*at, key)), f"may be ignored{suggestion(key, known)}")


def _jumpstart_errors(content: Mapping[str, Any], tasktype: str, at: FieldPath) -> Iterator[FieldError]:
    try:
        JumpStartRequest.model_validate(content)
    except ValidationError as exc:
        yield from field_errors_of(exc, JumpStartRequest, content, at)
    for name in _NEEDED.get(tasktype, ()):
        if content.get(name) is None:
            yield FieldError(field_path((*at, name)), f"is required for {tasktype}")
