"""The GPU: ``python -m bench.agent.gpu``, a stand-in that takes its options and draws nothing.

Drawing and compressing cost it more time than the agent has between two jobs, and none of it is what is measured:
every picture is the same noise, made beforehand.
"""

import asyncio
import base64
import io
from functools import cache
from random import Random
from unittest.mock import patch

from PIL import Image

from runtimes.standin.__main__ import parse, serve

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


def main() -> None:
    """Answer until a signal comes."""
    encoded = base64.b64encode(picture_png()).decode()
    with (
        patch("runtimes.standin.sdwebui.generation.paint", lambda _: picture()),
        patch("runtimes.standin.sdwebui.generation.blend", lambda *_: picture()),
        patch("runtimes.standin.sdwebui.generation.encode", lambda *_: encoded),
        patch("runtimes.standin.comfyui.nodes.sampling.paint", lambda _: picture()),
    ):
        asyncio.run(serve(parse()))


if __name__ == "__main__":
    main()
