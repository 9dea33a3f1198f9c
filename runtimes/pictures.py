"""A picture asked for in the words that all runtime types share; each type turns it into a task of its own."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runtimes.catalog import DeployedRuntime
from runtimes.spec import load

MAX_PROMPT_CHARS = 10_000
MAX_SEED = 2**32 - 1

Side = Annotated[int, Field(ge=16, le=8192)]
"""Width or height in pixels."""
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]
Steps = Annotated[int, Field(ge=1, le=500)]
Guidance = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PictureFormat = Literal["png", "jpeg", "webp"]


class PictureRequest(BaseModel):
    """A picture as a caller describes it, whatever draws it. What is None is left to the runtime.

    Attributes:
        width: Pixels; with ``height`` or not at all.
        n: How many pictures.
        guidance: How closely the picture follows the prompt, on the model's own scale.
        image: A picture to start from, as a link or in base64.
        references: Further pictures, for models that work from several.
        mask: White where ``image`` is to be drawn again.
        strength: How far the result may depart from ``image``: 0 keeps it, 1 ignores it.
        format: Of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS)]
    negative_prompt: Annotated[str, Field(max_length=MAX_PROMPT_CHARS)] | None = None
    width: Side | None = None
    height: Side | None = None
    n: Annotated[int, Field(ge=1, le=16)] = 1
    seed: Seed | None = None
    steps: Steps | None = None
    guidance: Guidance | None = None
    image: str | None = None
    references: tuple[str, ...] = ()
    mask: str | None = None
    strength: Strength | None = None
    format: PictureFormat | None = None


class NotDrawableError(ValueError):
    """A runtime cannot draw what is asked for; the message says what it lacks."""


def task_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task of a runtime that draws a picture: its type and its content.

    Raises:
        NotDrawableError: The runtime has nothing that does it.
    """
    if (dotted_path := runtime.runtime_type.content) is None:
        raise NotDrawableError(f"Runtime {runtime.name} of type {runtime.type} draws only what a task of its own says.")
    if picture.references and not runtime.runtime_type.takes_references:
        raise NotDrawableError(f"Runtime {runtime.name} of type {runtime.type} works from one picture, not several.")
    task_type, content = load(dotted_path)(picture, runtime)
    return task_type, content
