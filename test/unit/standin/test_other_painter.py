"""A server that was handed another painter."""

import base64
import io

import pytest
from PIL import Image

from runtimes.standin.painter import Brief, Painter

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


async def test_sdwebui_gives_out_its_painters_files(webui):
    [picture] = (await webui.draw())["images"]
    assert base64.b64decode(picture) == file_of("PNG", DRAWN)


async def test_sdwebui_has_its_painter_redraw_what_it_was_given(webui, b64):
    [picture] = (await webui.draw(init_images=[b64()]))["images"]
    assert base64.b64decode(picture) == file_of("PNG", REDRAWN)


@pytest.mark.parametrize(("option", "form"), [("jpg", "JPEG"), ("webp", "WEBP")])
async def test_sdwebui_asks_its_painter_for_the_format_of_its_options(webui, option, form):
    await webui.post("/sdapi/v1/options", {"samples_format": option})
    [picture] = (await webui.draw())["images"]
    assert base64.b64decode(picture) == file_of(form, DRAWN)


async def test_sdwebui_shows_its_painters_preview(webui, soon):
    await webui.faults(step_s=0.05)
    job = soon(webui.draw(steps=20))
    await webui.running()
    preview = (await webui.get("/sdapi/v1/progress"))["current_image"]
    assert base64.b64decode(preview) == file_of("PNG", DRAWN)
    await webui.post("/sdapi/v1/interrupt")
    await job


async def test_comfyui_gives_out_its_painters_files(comfy, sampled):
    outputs = (await comfy.run(sampled()))["outputs"]
    assert await shown(comfy, outputs["9"]) == file_of("PNG", DRAWN)


async def test_comfyui_has_its_painter_redraw_what_its_latents_hold(comfy, sampled, flat):
    encoded = {"class_type": "VAEEncode", "inputs": {"pixels": ["1", 0], "vae": ["4", 2]}}
    outputs = (await comfy.run({**sampled(), "1": flat()["1"], "5": encoded}))["outputs"]
    assert await shown(comfy, outputs["9"]) == file_of("PNG", REDRAWN)


async def shown(comfy, output):
    [listed] = output["images"]
    return await comfy.get("/view?" + "&".join(f"{key}={value}" for key, value in listed.items()))


def test_the_usual_painter_redraws_to_the_strength_it_is_told():
    given, brief = Image.new("RGB", (64, 64), "red"), Brief(prompt="a", width=64, height=64)
    assert Painter().draw(brief, given, 0).tobytes() == given.tobytes()
    assert Painter().draw(brief, given, 1).tobytes() == Painter().draw(brief).tobytes()


def test_the_usual_painters_file_is_the_picture():
    picture = Painter().draw(Brief(prompt="a", width=64, height=64))
    opened = Image.open(io.BytesIO(Painter().file(picture, "PNG", compress_level=1)))
    assert (opened.format, opened.tobytes()) == ("PNG", picture.tobytes())
