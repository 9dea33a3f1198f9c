"""Keeps out images that are too large to be unpacked: a small file may be a huge picture."""

from contract.field_errors import one_of
from contract.image_headers import MAX_FRAMES, READERS, BrokenHeader, extent_of
from contract.inputs import MAX_PIXELS
from queue_agent.errors import InputError
from queue_agent.media import Media


def check_pixels(image: Media) -> None:
    """Make sure that an image is not too large to be unpacked, all its frames together. Nothing of it is.

    Raises:
        InputError: It is, or nobody can tell.
    """
    if image.extension not in READERS:
        raise InputError(
            f"is an image of type {image.content_type}, which is not supported; send {one_of(tuple(READERS))}"
        )
    try:
        found = extent_of(image.data, image.extension)
    except BrokenHeader as exc:
        raise InputError(f"is a broken {image.extension} image: its size cannot be read ({exc})") from exc
    if found.pixels > MAX_PIXELS or found.frames > MAX_FRAMES:
        times = f" in {found.frames} frames" if found.frames > 1 else ""
        size = f"{found.width} × {found.height} pixels"  # noqa: RUF001 (a size, not a letter)
        raise InputError(f"is an image of {size}{times}; the limit is {MAX_PIXELS}")
