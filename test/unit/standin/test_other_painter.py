"""A server that was handed another painter."""

import base64

import pytest
from PIL import Image

from runtimes.standin.painter import Painter

DRAWN, REDRAWN = (10, 20, 30), (40, 50, 60)


class TwoColours(Painter):
    """Draws in one colour and redraws in another; its files tell the format and the colour."""

    def draw(self, brief, given=None, strength=1.0):
        return Image.new("RGB", (brief.width, brief.height), REDRAWN if given else DRAWN)

    def file(self, picture, form, **settings):
        return file_of(form, picture.getpixel((0, 0)))


def file_of(form, colour):
    return f"{form} {colour}".encode()


@pytest.fixture
def painter():
    return TwoColours()


async def test_sdwebui_has_its_painter_redraw_what_it_was_given(webui, b64):
    [picture] = (await webui.draw(init_images=[b64()]))["images"]
    assert base64.b64decode(picture) == file_of("PNG", REDRAWN)


async def test_comfyui_has_its_painter_redraw_what_its_latents_hold(comfy, sampled, flat):
    encoded = {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 0], "vae": ["4", 2]}}
    outputs = (await comfy.run({**sampled(), "1": flat()["1"], "5": encoded}))["outputs"]
    assert await shown(comfy, outputs["9"]) == file_of("PNG", REDRAWN)


async def shown(comfy, output):
    [listed] = output["images"]
    return await comfy.get("/view?" + "&".join(f"{key}={value}" for key, value in listed.items()))
