"""The GPU: ``python -m bench.agent.gpu``, a stand-in that takes its options and draws nothing.

Drawing and compressing cost it more time than the agent has between two jobs, and none of it is what is measured:
every picture is the same noise, made beforehand.
"""

import asyncio
import base64
import gc
import io
from functools import cache
from random import Random
from typing import Any

from PIL import Image

from runtimes.standin.__main__ import parse, serve
from runtimes.standin.painter import Brief, Painter

_SIDE_PX = 365  # noise cannot be compressed: 365 x 365 x 3 bytes


@cache
def picture() -> Image.Image:
    """Give the picture."""
    noise = Random(1).randbytes(_SIDE_PX * _SIDE_PX * 3)
    return Image.frombytes("RGB", (_SIDE_PX, _SIDE_PX), noise)


@cache
def picture_png() -> bytes:
    """Give the picture as a file of about 400 KB."""
    held = io.BytesIO()
    picture().save(held, "PNG")
    return held.getvalue()


class NoisePainter(Painter):
    """Gives the one picture and its one file, whatever is asked for."""

    def __init__(self) -> None:
        self._picture = picture()
        self._file = picture_png()
        self._base64 = base64.b64encode(self._file).decode()

    def draw(self, brief: Brief, given: Image.Image | None = None, strength: float = 1.0) -> Image.Image:  # noqa: ARG002
        """Give the picture."""
        return self._picture

    def file(self, picture: Image.Image, form: str, **settings: Any) -> bytes:  # noqa: ARG002
        """Give the file."""
        return self._file

    def base64(self, picture: Image.Image, form: str, **settings: Any) -> str:  # noqa: ARG002
        """Give the file in base64."""
        return self._base64


def main() -> None:
    """Answer until a signal comes."""
    options, painter = parse(), NoisePainter()
    gc.freeze()  # a collection of all that was imported takes as long as ten gaps between jobs
    asyncio.run(serve(options, painter))


if __name__ == "__main__":
    main()
