"""The pictures themselves, and who draws them."""

import base64

import pytest
from PIL import Image

from runtimes.standin.painter import Brief, Painter, paint
from test.kit.tasks import content_of, empty_image, node
from test.unit.standin.conftest import png


@pytest.mark.parametrize("change", [{"prompt": "b"}, {"negative": "n"}, {"seed": 2}, {"checkpoint": "other"}])
def test_every_part_of_the_brief_changes_the_picture(change):
    plain = {"prompt": "a", "width": 96, "height": 96, "seed": 1}
    assert paint(Brief(**plain)).tobytes() == paint(Brief(**plain)).tobytes()
    assert paint(Brief(**plain)).tobytes() != paint(Brief(**{**plain, **change})).tobytes()


@pytest.mark.parametrize(
    ("prompt", "size"),
    [("", (8, 8)), ("the sea " * 40, (8, 512)), ("word" * 300, (512, 8)), ("a\nb\tc", (96, 640)), ("\ud800", (64, 64))],
)
def test_any_prompt_is_drawn_in_any_size(prompt, size):
    assert paint(Brief(prompt=prompt, width=size[0], height=size[1])).size == size


class Redrawer(Painter):
    """Draws in black and redraws in white."""

    def draw(self, brief, given=None, strength=1.0):
        return Image.new("RGB", (brief.width, brief.height), "white" if given else "black")


@pytest.mark.parametrize("painter", [Redrawer()])
async def test_a_server_has_its_painter_redraw_what_it_was_given(webui, comfy):
    (picture,) = (await webui.draw(init_images=[base64.b64encode(png()).decode()]))["pictures"]
    given = {"0": empty_image(), "3": node("VAEEncode", pixels=["0", 0], vae=["1", 2])}
    redrawn = await comfy.picture(await comfy.run({**content_of("comfyui"), **given}), "6")
    drawn = await comfy.picture(await comfy.run(content_of("comfyui")), "6")
    assert [one.getpixel((0, 0)) for one in (picture, redrawn, drawn)] == [(255,) * 3, (255,) * 3, (0,) * 3]


def test_a_prompt_for_an_icon_gives_a_shape_on_plain_white():
    icon = paint(Brief(prompt="An icon of a balloon, Plain White Background, no shadow", width=128, height=128))
    border = {icon.getpixel((x, y)) for x in range(128) for y in (0, 127)}
    assert border == {(255, 255, 255)}
    assert icon.getpixel((64, 30)) != (255, 255, 255)
