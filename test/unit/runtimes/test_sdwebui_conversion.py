import io

import pytest
from PIL import Image

from queue_agent.errors import InputError
from queue_agent.media import identify
from runtimes.sdwebui.driver import conversion
from runtimes.sdwebui.driver.conversion import converted


def picture(form, mode="RGB", size=(20, 10), colour=None, **settings):
    stream = io.BytesIO()
    Image.new(mode, size, colour or 0).save(stream, form, **settings)
    return identify(stream.getvalue())


def opened(media):
    image = Image.open(io.BytesIO(converted({"a": media})["a"].data))
    image.load()
    return image


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "TIFF"])
def test_a_picture_in_a_form_with_holes_goes_to_the_server_as_png(form):
    image = opened(picture(form, colour=(200, 30, 30)))
    assert (image.format, image.size) == ("PNG", (20, 10))
    assert max(abs(one - other) for one, other in zip(image.getpixel((5, 5)), (200, 30, 30), strict=True)) < 12


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP"])
def test_any_other_picture_goes_as_it_is(form):
    media = picture(form)
    assert converted({"a": media})["a"] is media


@pytest.mark.parametrize(
    ("form", "mode", "kept"), [("WEBP", "RGBA", "RGBA"), ("TIFF", "CMYK", "RGB"), ("TIFF", "I;16", "I;16")]
)
def test_transparency_and_depth_stay(form, mode, kept):
    assert opened(picture(form, mode)).mode == kept


def test_a_picture_stands_upright_and_carries_nothing_else_and_of_an_animation_the_first_frame_goes():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a secret"
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    stream = io.BytesIO()
    frames[0].save(stream, "WEBP", save_all=True, append_images=frames[1:], lossless=True, exif=exif)
    media = identify(stream.getvalue())
    image = opened(media)
    assert (image.size, getattr(image, "n_frames", 1), image.getpixel((4, 4))) == ((10, 20), 1, (255, 0, 0))
    assert b"secret" not in converted({"a": media})["a"].data


def test_the_pixels_of_all_pictures_that_are_unpacked_are_bounded_together(monkeypatch):
    monkeypatch.setattr(conversion, "MAX_PIXELS", 399)
    assert len(converted({"a": picture("WEBP"), "b": picture("PNG", size=(100, 100))})) == 2
    with pytest.raises(InputError, match=r"webp, avif or tif have 400 pixels together; .* at most 399"):
        converted({"a": picture("WEBP"), "b": picture("AVIF")})


@pytest.mark.parametrize("form", ["WEBP", "AVIF", "TIFF"])
def test_a_broken_picture_is_the_tasks_fault(form):
    whole = picture(form, size=(200, 200), colour=(1, 2, 3)).data
    with pytest.raises(InputError, match="cannot be decoded"):
        converted({"a": identify(whole[: len(whole) // 2] + bytes(10))})
