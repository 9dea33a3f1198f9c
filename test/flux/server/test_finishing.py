"""What is done to drawn pictures."""

import io

import pytest
from PIL import Image, ImageFilter, ImageStat

from runtimes.flux.requests import Finish
from runtimes.flux.server.finishing import Finishing


def scene() -> Image.Image:
    """Something with edges and colours."""
    image = Image.radial_gradient("L").resize((64, 64))
    return Image.merge("RGB", (image, image.rotate(90), image.point(lambda value: 255 - value // 2)))


def finished(output_format: str = "png", quality: int = 95, **values: float) -> Image.Image:
    return Image.open(io.BytesIO(Finishing(Finish(**values), output_format, quality).apply(scene())))


def edges(image: Image.Image) -> float:
    return ImageStat.Stat(image.convert("L").filter(ImageFilter.FIND_EDGES)).mean[0]


def test_neutral_values_leave_every_pixel_as_it_is():
    assert finished().tobytes() == scene().tobytes()


def test_sharpening_strengthens_edges():
    assert edges(finished(sharpen=2)) > edges(finished())


@pytest.mark.parametrize(
    ("name", "measure"),
    [
        ("brightness", lambda image: ImageStat.Stat(image.convert("L")).mean[0]),
        ("contrast", lambda image: ImageStat.Stat(image.convert("L")).stddev[0]),
        ("saturation", lambda image: ImageStat.Stat(image.convert("HSV")).mean[1]),
    ],
)
def test_colour_values_go_up_and_down(name, measure):
    low, neutral, high = (measure(finished(**{name: value})) for value in (0.6, 1, 1.4))
    assert low < neutral < high


@pytest.mark.parametrize("output_format", ["png", "jpeg", "webp"])
def test_the_format_is_the_one_named(output_format):
    picture = finished(output_format)
    assert picture.format == output_format.upper()
    assert Finishing(Finish(), output_format, 95).content_type == Image.MIME[picture.format]


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_less_quality_makes_smaller_files(output_format):
    low, high = (len(Finishing(Finish(), output_format, quality).apply(scene())) for quality in (10, 90))
    assert low < high


def test_webp_of_quality_100_loses_nothing():
    assert finished("webp", 100).convert("RGB").tobytes() == scene().tobytes()
