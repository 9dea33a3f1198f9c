"""Turns a picture in words that all types share into the toy's task."""

from typing import Any

from runtimes.catalog import DeployedRuntime
from runtimes.pictures import NotDrawableError, PictureRequest


def content_of(picture: PictureRequest, runtime: DeployedRuntime) -> tuple[str, dict[str, Any]]:
    """The task type and the content.

    Raises:
        NotDrawableError: It starts from an image, which the toy cannot read.
    """
    if picture.image is not None:
        raise NotDrawableError(f"Runtime {runtime.name} starts from no image.")
    return "draw", {"word": picture.prompt}
