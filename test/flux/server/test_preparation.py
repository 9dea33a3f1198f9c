"""Given images are made ready: decoded, upright, opaque, of the right size."""

import base64
import contextlib
import io
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from runtimes.flux.families import FAMILIES
from runtimes.flux.server import decoding
from runtimes.flux.server.decoder import decode
from runtimes.flux.server.decoding import ImageFault, decoded, decoded_mask
from runtimes.flux.server.preparation import edit_size, fitted, fitted_mask, shape_at, variation_size

NO_TIFF = b"Exif\0\0MM\0\x93\0\0\0\x08\0\0"
A_NUMBER_FOR_A_TEXT = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x0e\0\x05\0\0\0\x01\0\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
)
"""Of EXIF: a description that is a fraction, and an orientation for which Pillow writes all anew."""
FLUX, KONTEXT = FAMILIES["flux"], FAMILIES["flux-kontext"]
SIDES = st.tuples(st.integers(64, 4000), st.integers(64, 4000))


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> str:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return base64.b64encode(file.getvalue()).decode()


def halves(width: int = 40, height: int = 20) -> Image.Image:
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def test_base64_and_a_data_url_of_it_are_the_same_image():
    content = encoded(halves())
    assert decoded(content).tobytes() == decoded(f"data:image/png;base64,{content}").tobytes() == halves().tobytes()


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("TIFF", {}), ("AVIF", {"quality": 100})])
def test_every_format_is_read(file_format, options):
    red, blue = (decoded(encoded(halves(), file_format, **options)).getpixel(at) for at in ((5, 5), (35, 5)))
    assert red[0] - red[2] > 150
    assert blue[2] - blue[0] > 150


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "AVIF", "TIFF"])
def test_of_several_pictures_the_first_is_read(file_format):
    others = [Image.new("RGB", (40, 20), "green")] * 3
    read = decoded(encoded(halves(), file_format, save_all=True, append_images=others))
    assert read.getpixel((5, 5))[0] > 200


def test_a_sound_image_may_say_a_lot_beside_its_pixels():
    info = PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", "x" * 5_000_000, zip=True)
    assert decode(encoded(halves(), "PNG", pnginfo=info)).tobytes() == halves().tobytes()


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_an_image_is_turned_upright_as_its_exif_says(file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decoded(encoded(halves(), file_format, exif=exif))
    assert upright.size == (20, 40)
    assert upright.getpixel((0, 0)) == (255, 0, 0)
    assert upright.getpixel((0, 39)) == (0, 0, 255)


def test_what_is_transparent_shows_the_background():
    image = halves().convert("RGBA")
    image.putalpha(0)
    assert decoded(encoded(image), "#00ff00").getpixel((5, 5)) == (0, 255, 0)


def test_a_palettes_transparent_colour_shows_the_background():
    image = halves().quantize(2)
    left = image.getpixel((0, 0))
    opaque = decoded(encoded(image, "PNG", transparency=left), "#00ff00")
    assert (opaque.getpixel((0, 0)), opaque.getpixel((39, 0))) == ((0, 255, 0), (0, 0, 255))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "CMYK"])
def test_every_mode_becomes_rgb(mode):
    file_format = "JPEG" if mode == "CMYK" else "PNG"
    assert decoded(encoded(halves().convert(mode), file_format)).mode == "RGB"


def test_sixteen_bits_are_brought_to_eight():
    grey = Image.new("I;16", (8, 8), 32768)
    assert decoded(encoded(grey)).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("AAAA", "is not an image"),
        ("A", "is not base64"),
        (encoded(halves(400, 400))[:400], "is a broken image"),
        (encoded(halves(), "PPM"), "is not an image; it may be PNG"),
        (encoded(halves().convert("F"), "TIFF"), "is an image of floating-point numbers; save it with 8 or 16 bits"),
    ],
)
def test_what_is_no_image_is_a_fault(content, problem):
    with pytest.raises(ImageFault, match=problem):
        decoded(content)


@pytest.mark.parametrize(
    ("exif", "file_format"),
    [
        *((NO_TIFF, name) for name in ("PNG", "WEBP")),
        *((A_NUMBER_FOR_A_TEXT, name) for name in ("PNG", "JPEG", "WEBP")),
    ],
)
def test_an_image_whose_exif_is_broken_is_a_fault(exif, file_format):
    with pytest.raises(ImageFault, match="is a broken image"):
        decoded(encoded(halves(), file_format, exif=exif))


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("mode", "file_format"),
    [
        *(("L", "PNG"), ("P", "PNG"), ("RGBA", "PNG"), ("I;16", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG")),
        *(("RGB", "MPO"), ("RGB", "WEBP"), ("RGBA", "WEBP"), ("P", "GIF"), ("P", "BMP"), ("RGBA", "BMP")),
        *(("RGB", "TIFF"), ("RGB", "AVIF")),
    ],
)
def test_of_a_broken_file_nothing_but_the_fault_comes(mode, file_format):
    whole = base64.b64decode(encoded(halves().convert(mode.partition(";")[0]).convert(mode), file_format))
    chance = random.Random(mode + file_format)
    for _ in range(200):
        with contextlib.suppress(ImageFault, MemoryError):
            decoded(base64.b64encode(damaged(whole, chance)).decode())


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut it, or change a few bytes; PNG's checksums are made right again, so that its chunks are read."""
    broken = bytearray(content)
    if chance.random() < 0.2:
        return bytes(broken[: chance.randrange(len(broken))])
    for _ in range(chance.choice((1, 2, 8))):
        broken[chance.randrange(len(broken))] = chance.randrange(256)
    return rechecked(bytes(broken)) if content.startswith(b"\x89PNG") else bytes(broken)


def rechecked(png: bytes) -> bytes:
    parts, at = [png[:8]], 8
    while len(rest := png[at:]) >= 12 and (size := int.from_bytes(rest[:4])) <= len(rest) - 12:
        parts += rest[: 8 + size], zlib.crc32(rest[4 : 8 + size]).to_bytes(4)
        at += 12 + size
    return b"".join(parts) + rest


def test_an_image_of_too_many_pixels_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 799)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was unpacked"))
    with pytest.raises(ImageFault, match="is an image of 40 x 20 pixels; the limit is 799 pixels"):
        decoded(encoded_without_load())


def encoded_without_load() -> str:
    """PNG of 40 by 20 pixels, made beforehand: saving loads."""
    return HALVES


HALVES = encoded(halves())


def test_a_picture_is_cut_evenly_to_another_shape():
    square = fitted(halves(), (20, 20))
    assert (square.getpixel((0, 10)), square.getpixel((19, 10))) == ((255, 0, 0), (0, 0, 255))


def test_a_mask_is_cut_the_way_its_image_is():
    mask = Image.new("L", (20, 10))
    mask.paste(255, (0, 0, 10, 10))
    square = fitted_mask(mask, given=(40, 20), size=(20, 20))
    assert (square.getpixel((2, 10)), square.getpixel((17, 10))) == (255, 0)


def test_a_feather_softens_the_masks_edge():
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    hard, soft = (fitted_mask(mask, (64, 64), (64, 64), feather) for feather in (0, 16))
    assert (hard.getpixel((28, 32)), hard.getpixel((2, 32))) == (255, 255)
    assert 100 < soft.getpixel((28, 32)) < 250
    assert soft.getpixel((2, 32)) > 250


def test_what_is_transparent_in_a_mask_is_kept():
    mask = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert decoded_mask(encoded(mask)).getextrema() == (0, 0)


@pytest.mark.parametrize(
    ("asked", "given_size", "expected"),
    [
        (None, (512, 512), (1024, 1024)),
        (1024, (200, 100), (1024, 512)),
        ("768", (100, 200), (384, 768)),
        ("1024x768", (100, 200), (1024, 768)),
        ("1000x500", (100, 200), (992, 496)),
    ],
)
def test_an_edit_has_the_size_that_was_asked_for(asked, given_size, expected):
    assert edit_size(asked, given_size, KONTEXT) == expected


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(None, None, (320, 240)), (640, None, (640, 480)), (None, 480, (640, 480)), (256, 512, (256, 512))],
)
def test_a_variation_keeps_the_images_shape_where_no_size_is_asked_for(width, height, expected):
    assert variation_size(width, height, (320, 240), FLUX) == expected


@given(given_size=SIDES, asked=st.one_of(st.none(), st.integers(64, 2048)))
def test_every_edits_size_is_one_the_model_takes(given_size, asked):
    check(edit_size(asked, given_size, KONTEXT), KONTEXT)


@given(given_size=SIDES, width=st.one_of(st.none(), st.integers(4, 128).map(lambda n: n * 16)))
def test_every_variations_size_is_one_the_model_takes(given_size, width):
    check(variation_size(width, None, given_size, FLUX), FLUX)


@given(given_size=SIDES)
def test_a_shape_is_kept_within_half_a_multiple(given_size):
    width, height = shape_at(given_size, 1024**2, KONTEXT)
    other = width * given_size[1] / given_size[0]
    assert abs(height - other) <= 16 * max(1, given_size[1] / given_size[0]) + 16


def check(size: tuple[int, int], family) -> None:
    width, height = size
    assert width % family.size_multiple == height % family.size_multiple == 0
    assert 0 < width * height <= family.max_pixels
