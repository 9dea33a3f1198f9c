"""Images of requests are decoded in a limited process, rotated, flattened and resized; pictures are finished."""

import base64
import io
import resource
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageStat, PngImagePlugin

from runtimes.flux.families import FAMILIES
from runtimes.flux.requests import Finish
from runtimes.flux.server.errors import InvalidImageError
from runtimes.flux.server.images import decoder
from runtimes.flux.server.images.decoder import decode, decoded
from runtimes.flux.server.images.finishing import Finishing
from runtimes.flux.server.images.fitting import edit_size, fitted, fitted_mask, variation_size

NO_TIFF = b"Exif\0\0MM\0\x93\0\0\0\x08\0\0"
A_NUMBER_FOR_A_TEXT = (
    b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x0e\0\x05\0\0\0\x01\0\0\0\0\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
)
"""EXIF with a fraction as its description, and an orientation for which Pillow rewrites everything."""
FLUX, KONTEXT = FAMILIES["flux"], FAMILIES["flux-kontext"]
SIDES = st.tuples(st.integers(64, 4000), st.integers(64, 4000))


def as_base64(data):
    return base64.b64encode(data).decode()


def saved(image, file_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def encoded(image, file_format="PNG", **options):
    return as_base64(saved(image, file_format, **options))


def halves(width=40, height=20):
    """Left half red, right half blue."""
    image = Image.new("RGB", (width, height), "blue")
    image.paste("red", (0, 0, width // 2, height))
    return image


def segments(image, *more):
    """A JPEG with more segments before its picture."""
    return image[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", 2 + len(one)) + one for one in more) + image[2:]


PNG, JPEG = saved(halves()), saved(halves(), "JPEG")


def test_an_image_and_a_mask_are_decoded_in_their_own_process():
    transparent = halves().convert("RGBA")
    transparent.putalpha(0)
    for content in (as_base64(PNG), f"data:image/png;base64,{as_base64(PNG)}"):
        assert decode(content).tobytes() == halves().tobytes()
    assert decode(encoded(transparent), "#00ff00").getpixel((3, 3)) == (0, 255, 0)
    assert (decode(as_base64(PNG), None).mode, decode(as_base64(PNG), None).size) == ("L", (40, 20))


@pytest.mark.parametrize("content", ["AAAA", "not base64 ä", "", as_base64(PNG[:45])])
def test_content_that_the_process_cannot_decode_is_an_error_of_the_image(content):
    with pytest.raises(InvalidImageError, match=r"^is "):
        decode(content)


def test_a_file_can_have_a_lot_of_metadata():
    info = PngImagePlugin.PngInfo()
    info.add_text("XML:com.adobe.xmp", "x" * 5_000_000, zip=True)
    assert decode(encoded(halves(), "PNG", pnginfo=info)).tobytes() == halves().tobytes()
    assert decode(as_base64(segments(JPEG, *[b"http://ns.adobe.com/" + bytes(60_000)] * 1_000))).size == (40, 20)


def test_a_file_with_endless_headers_is_rejected_unread():
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with pytest.raises(InvalidImageError, match="is a broken image: it has too many parts"):
        decode(as_base64(segments(JPEG, *[b"Exif\0\0" + bytes(20)] * 300_000)))
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < decoder.MAX_CPU_SECONDS / 2


@pytest.mark.parametrize(
    ("limit", "value", "content"),
    [
        ("MAX_CPU_SECONDS", 1, lambda: segments(JPEG, *[b"Exif\0\0" + bytes(30_000)] * 1_900)),
        ("MAX_MEMORY_BYTES", 200_000_000, lambda: saved(Image.new("RGB", (8000, 8000)))),
    ],
)
def test_an_image_that_takes_too_much_time_or_memory_is_stopped(monkeypatch, limit, value, content):
    monkeypatch.setattr(decoder, limit, value)
    with pytest.raises(InvalidImageError, match="takes too much memory or time"):
        decode(as_base64(content()))


def test_an_image_with_the_maximum_of_pixels_stays_within_the_limits():
    assert decode(encoded(Image.new("RGBA", (8000, 8000), "#ff000080"), compress_level=1)).size == (8000, 8000)


def test_a_decoder_that_cannot_run_is_not_an_error_of_the_image(monkeypatch):
    monkeypatch.setattr(decoder, "_COMMAND", (decoder.sys.executable, "-m", "no_such_module"))
    with pytest.raises(decoder.subprocess.CalledProcessError):
        decode(as_base64(PNG))


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "AVIF", "TIFF"])
def test_the_first_of_several_pictures_is_read(file_format):
    others = [Image.new("RGB", (40, 20), "green")] * 3
    image = decoded(encoded(halves(), file_format, save_all=True, append_images=others))
    red, blue = (image.getpixel(at) for at in ((5, 5), (35, 5)))
    assert red[0] - red[2] > 150 < blue[2] - blue[0]


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_an_image_is_rotated_by_its_exif_orientation(file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = decoded(encoded(halves(), file_format, exif=exif))
    assert upright.size == (20, 40)
    assert (upright.getpixel((0, 0)), upright.getpixel((0, 39))) == ((255, 0, 0), (0, 0, 255))


def test_transparent_parts_show_the_background_and_are_kept_in_a_mask():
    image = halves().quantize(2)
    opaque = decoded(encoded(image, transparency=image.getpixel((0, 0))), "#00ff00")
    assert (opaque.getpixel((0, 0)), opaque.getpixel((39, 0))) == ((0, 255, 0), (0, 0, 255))
    assert decoded(encoded(Image.new("RGBA", (8, 8), (255, 255, 255, 0))), None).getextrema() == (0, 0)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA", "CMYK", "I;16"])
def test_every_mode_becomes_8_bit_rgb(mode):
    grey = Image.new("I;16", (8, 8), 32768) if mode == "I;16" else Image.new("L", (8, 8), 128).convert(mode)
    image = decoded(encoded(grey, "JPEG" if mode == "CMYK" else "PNG"))
    assert image.mode == "RGB"
    assert image.getpixel((0, 0)) == (128, 128, 128) or mode in {"1", "CMYK"}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("AAAA", "is not an image"),
        ("A", "is not base64"),
        (encoded(halves(400, 400))[:400], "is a broken image"),
        (encoded(halves(), "PPM"), "is not an image; it may be PNG"),
        (encoded(halves().convert("F"), "TIFF"), "is an image of floating-point numbers; save it with 8 or 16 bits"),
        *((encoded(halves(), name, exif=NO_TIFF), "is a broken image") for name in ("PNG", "WEBP")),
        *((encoded(halves(), name, exif=A_NUMBER_FOR_A_TEXT), "is a broken") for name in ("PNG", "JPEG", "WEBP")),
    ],
)
def test_content_that_is_not_an_image_is_an_error_with_the_reason(content, problem):
    with pytest.raises(InvalidImageError, match=problem):
        decoded(content)


def test_an_image_with_too_many_pixels_is_rejected_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(decoder, "MAX_PIXELS", 799)
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was unpacked"))
    with pytest.raises(InvalidImageError, match="is an image of 40 x 20 pixels; the limit is 799 pixels"):
        decoded(as_base64(PNG))


def test_a_picture_and_its_mask_are_cropped_evenly_and_a_feather_softens_the_edge_of_the_mask():
    square = fitted(halves(), (20, 20))
    assert (square.getpixel((0, 10)), square.getpixel((19, 10))) == ((255, 0, 0), (0, 0, 255))
    mask = Image.new("L", (20, 10))
    mask.paste(255, (0, 0, 10, 10))
    hard, soft = (fitted_mask(mask, (128, 64), (64, 64), feather) for feather in (0, 16))
    assert (hard.getpixel((2, 32)), hard.getpixel((28, 32)), hard.getpixel((60, 32))) == (255, 255, 0)
    assert 100 < soft.getpixel((28, 32)) < 250 < soft.getpixel((2, 32))


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (edit_size(None, (512, 512), KONTEXT), (1024, 1024)),
        (edit_size(1024, (200, 100), KONTEXT), (1024, 512)),
        (edit_size("768", (100, 200), KONTEXT), (384, 768)),
        (edit_size("1024x768", (100, 200), KONTEXT), (1024, 768)),
        (edit_size("1000x500", (100, 200), KONTEXT), (992, 496)),
        (variation_size(None, None, (320, 240), FLUX), (320, 240)),
        (variation_size(640, None, (320, 240), FLUX), (640, 480)),
        (variation_size(None, 480, (320, 240), FLUX), (640, 480)),
        (variation_size(256, 512, (320, 240), FLUX), (256, 512)),
    ],
)
def test_a_picture_has_the_requested_size_or_the_shape_of_its_image(chosen, expected):
    assert chosen == expected


@given(given_size=SIDES, asked=st.one_of(st.none(), st.integers(64, 2048)), width=st.integers(4, 128))
def test_every_chosen_size_is_one_that_the_model_takes(given_size, asked, width):
    for size in (
        edit_size(asked, given_size, KONTEXT),
        *(variation_size(one, None, given_size, KONTEXT) for one in (None, width * 16)),
    ):
        assert size[0] % KONTEXT.size_multiple == size[1] % KONTEXT.size_multiple == 0
        assert 0 < size[0] * size[1] <= KONTEXT.max_pixels


def scene():
    """A picture with edges and colours."""
    image = Image.radial_gradient("L").resize((64, 64))
    return Image.merge("RGB", (image, image.rotate(90), image.point(lambda value: 255 - value // 2)))


def finished(output_format="png", quality=95, **values):
    return Image.open(io.BytesIO(Finishing(Finish(**values), output_format, quality).apply(scene())))


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("brightness", lambda image: ImageStat.Stat(image.convert("L")).mean[0]),
        ("contrast", lambda image: ImageStat.Stat(image.convert("L")).stddev[0]),
        ("saturation", lambda image: ImageStat.Stat(image.convert("HSV")).mean[1]),
        ("sharpen", lambda image: ImageStat.Stat(image.convert("L").filter(ImageFilter.FIND_EDGES)).mean[0]),
    ],
)
def test_finishing_values_increase_and_decrease(name, measure):
    low, middle, high = (measure(finished(**{name: value})) for value in (0.6, 1, 1.4))
    assert low < middle < high


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_the_output_has_the_requested_format_and_lower_quality_makes_smaller_files(output_format):
    picture = finished(output_format, quality=100)
    assert picture.convert("RGB").tobytes() == scene().tobytes() or output_format == "jpeg"
    assert picture.format == output_format.upper()
    assert Finishing(Finish(), output_format, 95).content_type == Image.MIME[picture.format]
    low, high = (len(Finishing(Finish(), output_format, quality).apply(scene())) for quality in (10, 90))
    assert low < high or output_format == "png"
