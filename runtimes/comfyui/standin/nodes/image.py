"""Nodes that load, make and resize pictures."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageSequence, UnidentifiedImageError

from runtimes.comfyui.standin.files import SHOWN_ROOT
from runtimes.comfyui.standin.registry import Context, Library, choice, link, node, real, whole
from runtimes.comfyui.standin.values import Images

MAX_SIDE = 16384
METHODS = ["nearest-exact", "bilinear", "area", "bicubic", "lanczos"]
CROPS = ["disabled", "center"]
_CHANNELS = ["alpha", "red", "green", "blue"]
_FILTERS = {
    "nearest-exact": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
    "bislerp": Image.Resampling.BICUBIC,
}


def files(library: Library) -> list[str]:
    """Return the names of the uploaded files."""
    return library.folders.input_names()


def file_print(name: str) -> Callable[[Mapping[str, Any], Library], str]:
    """Return what tells one content of the file in input `name` from another."""

    def fingerprint(inputs: Mapping[str, Any], library: Library) -> str:
        path = library.folders.input_file(str(inputs.get(name)))
        return hashlib.sha256(path.read_bytes()).hexdigest() if path else ""

    return fingerprint


def must_exist(noun: str) -> Callable[[Any, Library], str | None]:
    """Return a check that the named file was uploaded."""

    def check(value: Any, library: Library) -> str | None:
        return None if library.folders.input_file(str(value)) else f"Invalid {noun} file: {value}"

    return check


def resized(images: Images, size: tuple[int, int], method: str, crop: str = "disabled") -> Images:
    """Return the pictures in another size in pixels; a side of 0 follows the other.

    With the crop "center" what does not fit is cut off, else the pictures are stretched.
    """
    width, height = size
    results = []
    for image in images:
        wide = width or max(1, round(image.width * height / image.height)) if height else width or image.width
        high = height or max(1, round(image.height * wide / image.width))
        if crop == "center":
            results.append(ImageOps.fit(image, (wide, high), _FILTERS[method]))
        else:
            results.append(image.resize((wide, high), _FILTERS[method]))
    return results


@node(
    "EmptyImage",
    inputs={
        "width": whole(512, 1, MAX_SIDE, step=1),
        "height": whole(512, 1, MAX_SIDE, step=1),
        "batch_size": whole(1, 1, 4096),
        "color": whole(0, 0, 0xFFFFFF, step=1, display="color"),
    },
    outputs=("IMAGE",),
    category="image",
)
def empty_image(width: int, height: int, batch_size: int, color: int) -> tuple[Images]:
    """Make pictures of one colour."""
    return ([Image.new("RGB", (width, height), (color >> 16 & 255, color >> 8 & 255, color & 255))] * batch_size,)


def _opened(context: Context, name: str) -> Image.Image:
    path = context.folders.input_file(name)
    if path is None:
        raise FileNotFoundError(f"[Errno 2] No such file or directory: '{SHOWN_ROOT}/input/{name}'")
    try:
        image = Image.open(path)
        image.load()
    except UnidentifiedImageError as error:
        raise UnidentifiedImageError(f"cannot identify image file '{SHOWN_ROOT}/input/{name}'") from error
    return image


@node(
    "LoadImage",
    inputs={"image": choice(files, image_upload=True)},
    outputs=("IMAGE", "MASK"),
    category="image",
    display="Load Image",
    fingerprint=file_print("image"),
    check={"image": must_exist("image")},
)
def load_image(context: Context, image: str) -> tuple[Images, Images]:
    """Load a picture; its mask is light where the picture is transparent."""
    frames = [ImageOps.exif_transpose(frame) for frame in ImageSequence.Iterator(_opened(context, image))]
    same = [frame for frame in frames if frame.size == frames[0].size]
    clear = Image.new("L", (64, 64), 0)
    masks = [ImageChops.invert(one.convert("RGBA").getchannel("A")) if _has_alpha(one) else clear for one in same]
    return [one.convert("RGB") for one in same], masks


def _has_alpha(image: Image.Image) -> bool:
    return "A" in image.getbands() or "transparency" in image.info


@node(
    "LoadImageMask",
    inputs={"image": choice(files, image_upload=True), "channel": choice(_CHANNELS)},
    outputs=("MASK",),
    category="mask",
    display="Load Image (as Mask)",
    fingerprint=file_print("image"),
    check={"image": must_exist("image")},
)
def load_mask(context: Context, image: str, channel: str) -> tuple[Images]:
    """Load one channel of a picture as a mask; alpha is turned round."""
    mask = ImageOps.exif_transpose(_opened(context, image)).convert("RGBA").getchannel(channel[0].upper())
    return ([ImageChops.invert(mask) if channel == "alpha" else mask],)


@node(
    "ImageScale",
    inputs={
        "image": link("IMAGE"),
        "upscale_method": choice(METHODS),
        "width": whole(512, 0, MAX_SIDE, step=1),
        "height": whole(512, 0, MAX_SIDE, step=1),
        "crop": choice(CROPS),
    },
    outputs=("IMAGE",),
    category="image/upscaling",
    display="Upscale Image",
)
def scale(image: Images, upscale_method: str, width: int, height: int, crop: str) -> tuple[Images]:
    """Resize to a size."""
    return (resized(image, (width, height), upscale_method, crop),)


@node(
    "ImageScaleBy",
    inputs={
        "image": link("IMAGE"),
        "upscale_method": choice(METHODS),
        "scale_by": real(1.0, 0.01, 8.0, step=0.01),
    },
    outputs=("IMAGE",),
    category="image/upscaling",
    display="Upscale Image By",
)
def scale_by(image: Images, upscale_method: str, scale_by: float) -> tuple[Images]:
    """Resize by a factor."""
    size = (max(1, round(image[0].width * scale_by)), max(1, round(image[0].height * scale_by)))
    return (resized(image, size, upscale_method),)


@node("ImageInvert", inputs={"image": link("IMAGE")}, outputs=("IMAGE",), category="image", display="Invert Image")
def invert(image: Images) -> tuple[Images]:
    """Turn every colour into its opposite."""
    return ([ImageChops.invert(one) for one in image],)


@node(
    "ImageBatch",
    inputs={"image1": link("IMAGE"), "image2": link("IMAGE")},
    outputs=("IMAGE",),
    category="image",
    display="Batch Images",
)
def batch(image1: Images, image2: Images) -> tuple[Images]:
    """Put two batches together in the size of the first."""
    return ([*image1, *resized(image2, image1[0].size, "bilinear", "center")],)
