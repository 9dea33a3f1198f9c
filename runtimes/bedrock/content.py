"""Turns a picture in words that all types share into a body of the runtime's model."""

from typing import Any

from contract.field_errors import one_of
from runtimes.bedrock.checks import family_of
from runtimes.bedrock.families import MAX_SEED, TEXT_TO_IMAGE, nearest_ratio
from runtimes.catalog import DeployedRuntime
from runtimes.pictures import NotDrawableError, PictureRequest


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and the body; steps and guidance, which no model here takes, are left out.

    Raises:
        NotDrawableError: The model does nothing of the kind, or draws fewer pictures or other formats.
    """
    family = family_of(runtime, TEXT_TO_IMAGE)
    if picture.n > 1:
        raise NotDrawableError(f"Runtime {runtime.name} draws one picture a job, not {picture.n}.")
    given = {
        "prompt": picture.prompt,
        "negative_prompt": picture.negative_prompt,
        "image": picture.image,
        "mask": picture.mask,
        "strength": picture.strength,
        "seed": None if picture.seed is None else min(picture.seed, MAX_SEED),
        "output_format": picture.format,
    }
    if picture.width and picture.height:
        given["aspect_ratio"] = nearest_ratio(picture.width, picture.height)
    given = {name: value for name, value in given.items() if value is not None}
    pictures = given.keys() & {"image", "mask"}
    for task_type, fields in family.bodies.items():
        required = {name for name, field in fields.items() if field.required}
        if pictures <= fields.keys() and required <= given.keys():
            format_field = fields["output_format"]
            if picture.format and picture.format not in format_field.choices:
                choices = one_of(format_field.choices)
                raise NotDrawableError(f"{family.title} draws {choices}, not {picture.format}.")
            return task_type, {name: value for name, value in given.items() if name in fields}
    wanted = "a prompt" + "".join(f" and {'an' if name == 'image' else 'a'} {name}" for name in sorted(pictures))
    does = one_of(tuple(family.bodies))
    raise NotDrawableError(f"Runtime {runtime.name} draws nothing of {wanted} alone: {family.title} does {does}.")
