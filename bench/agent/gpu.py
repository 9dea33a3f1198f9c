"""The GPU: a painter for the stand-ins that draws nothing.

Drawing and compressing cost a stand-in more time than the agent has between two jobs, and none of it is what is
measured: every picture is the same noise, made beforehand.
"""

import base64
import gc
import io
from random import Random
from typing import Any

from PIL import Image

from runtimes.standin.painter import Brief, Painter

_SIDE_PX = 365
"""Noise cannot be compressed: 365 x 365 x 3 bytes make a file of 400 KB."""


class NoisePainter(Painter):
    """Gives the one picture and its one file, whatever is asked for."""

    def __init__(self) -> None:
        self._picture = Image.frombytes("RGB", (_SIDE_PX, _SIDE_PX), Random(1).randbytes(_SIDE_PX * _SIDE_PX * 3))
        held = io.BytesIO()
        self._picture.save(held, "PNG")
        self._file = held.getvalue()
        self._base64 = base64.b64encode(self._file).decode()
        gc.freeze()  # a collection of all that was imported takes as long as ten gaps between jobs

    def draw(self, brief: Brief, given: Image.Image | None = None, strength: float = 1.0) -> Image.Image:  # noqa: ARG002
        """Give the picture."""
        return self._picture

    def file(self, picture: Image.Image, form: str, **settings: Any) -> bytes:  # noqa: ARG002
        """Give the file."""
        return self._file

    def base64(self, picture: Image.Image, form: str, **settings: Any) -> str:  # noqa: ARG002
        """Give the file in base64."""
        return self._base64
