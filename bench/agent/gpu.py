"""The GPU: a painter for the stand-ins that draws nothing.

Drawing and compressing would take a stand-in longer than the gap between two jobs, which is what the bench measures.
So every picture is the same noise, made in advance.
"""

import base64
import gc
import io
from random import Random
from typing import Any

from PIL import Image

from runtimes.standin.painter import Brief, Painter

_SIDE_PX = 365
"""Noise does not compress: 365 x 365 x 3 bytes become a file of 400 KB."""


class NoisePainter(Painter):
    """Returns the same picture and the same file for every request."""

    def __init__(self) -> None:
        self._picture = Image.frombytes("RGB", (_SIDE_PX, _SIDE_PX), Random(1).randbytes(_SIDE_PX * _SIDE_PX * 3))
        held = io.BytesIO()
        self._picture.save(held, "PNG")
        self._file = held.getvalue()
        self._base64 = base64.b64encode(self._file).decode()
        gc.freeze()  # a garbage collection of all imports takes as long as ten gaps between jobs

    def draw(self, brief: Brief, given: Image.Image | None = None, strength: float = 1.0) -> Image.Image:  # noqa: ARG002
        """Return the picture."""
        return self._picture

    def file(self, picture: Image.Image, form: str, **settings: Any) -> bytes:  # noqa: ARG002
        """Return the file."""
        return self._file

    def base64(self, picture: Image.Image, form: str, **settings: Any) -> str:  # noqa: ARG002
        """Return the file in base64."""
        return self._base64
