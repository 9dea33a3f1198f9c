"""What endpoints answer: pictures as bytes, in base64, or as numbers, below the keys that containers use.

| answer | from |
| --- | --- |
| bytes of PNG, JPEG, WebP, … | containers that honour ``Accept: image/png`` |
| {generated_images: [base64 or numbers], prompt}, {generated_image, prompt} | JumpStart |
| {artifacts: [{base64, seed, finishReason}]} | Stability's own SDXL |
| {image, images, preview, seeds, …} | the project's flux server |
| {images, seeds, finish_reasons} | Stability's later models |
| {predictions: [any of these]}, or such a list by itself | TensorFlow's and others' own containers |
"""

import binascii
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import pybase64
from PIL import Image

from contract import strict_json
from contract.inputs import MAX_PIXELS, is_data_url
from queue_agent.errors import ContentFiltered, ExecutionFailed
from queue_agent.media import HEAD_BYTES, identify, picture_size
from queue_agent.ports import Output
from runtimes._http import as_int

MAX_PICTURES = 16
_MAX_CONTAINERS = 2_500_000
"""Lists and objects: a list for each pixel that comes as numbers, as in four pictures of 768 x 768; they take 0.3 GB
while they are read."""
_MAX_DEPTH = 4
"""Objects and lists around a picture."""
_KEYS = ("generated_images", "generated_image", "artifacts", "predictions", "images", "image", "outputs", "output")
"""Where pictures stand; the first that an object has counts."""
_BESIDE = ("base64", "b64_json", "data", "picture")
"""Where one picture stands among facts about it."""
_FILTERED = frozenset({"CONTENT_FILTERED", "content_filtered"})
_REASONS = ("artifacts", "finish_reasons")
_CHANNELS = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(slots=True)
class Decoded:
    """An endpoint's answer: its pictures, and what else it says."""

    outputs: list[Output] = field(default_factory=list)
    rest: dict[str, Any] = field(default_factory=dict)


def decode(answer: bytes) -> Decoded:
    """Find the pictures of an answer.

    Raises:
        ContentFiltered: The endpoint's filter kept them back.
        ExecutionFailed: There are none, or too many, or they are broken.
    """
    if identify(answer[:HEAD_BYTES]).kind == "image":
        return Decoded([_checked(answer)])
    if answer.count(b"[") + answer.count(b"{") > _MAX_CONTAINERS:
        raise ExecutionFailed(
            "The endpoint answered too many values; pictures in base64, or by themselves, are smaller."
        )
    try:
        value = strict_json.loads(answer, max_values=None)
    except ValueError:
        raise ExecutionFailed("The endpoint answered neither a picture nor JSON.") from None
    rest = {key: item for key, item in value.items() if key not in _KEYS} if isinstance(value, dict) else {}
    seeds = rest["seeds"] if isinstance(rest.get("seeds"), list) else []
    outputs: list[Output] = []
    for number, (picture, seed) in enumerate(_pictures(value, 0)):
        if number == MAX_PICTURES:
            raise ExecutionFailed(f"The endpoint answered more than {MAX_PICTURES} pictures.")
        outputs.append(_checked(picture, as_int(seeds[number]) if seed is None and number < len(seeds) else seed))
    if not outputs:
        raise _without_pictures(value)
    return Decoded(outputs, rest)


def _pictures(value: Any, depth: int) -> Iterator[tuple[bytes, int | None]]:
    """The pictures below a value, each with its seed if that stands beside it."""
    if isinstance(value, str):
        yield _from_base64(value), None
    elif isinstance(value, list):
        if mode := _mode_of(value):
            yield _from_numbers(value, mode), None
        elif depth < _MAX_DEPTH:
            for item in value:
                yield from _pictures(item, depth + 1)
    elif isinstance(value, dict):
        if str(value.get("finishReason")) in _FILTERED:
            return
        if (key := next((name for name in _KEYS if value.get(name)), None)) and depth < _MAX_DEPTH:
            # The flux server repeats its first picture under "image" where there are several.
            yield from _pictures(value[key], depth + 1)
        elif name := next((name for name in _BESIDE if isinstance(value.get(name), str)), None):
            yield _from_base64(value[name]), as_int(value.get("seed"))


def _from_base64(text: str) -> bytes:
    payload = text.partition(",")[2] if is_data_url(text) else text
    try:
        return pybase64.b64decode(payload.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ExecutionFailed("The endpoint answered a text where a picture in base64 was expected.") from None


def _mode_of(value: list[Any]) -> str | None:
    """Pillow's mode of rows of pixels, as lists of numbers; None where a list is something else."""
    row = value[0] if value else None
    pixel = row[0] if isinstance(row, list) and row else None
    if isinstance(pixel, list) and pixel and all(isinstance(number, int | float) for number in pixel):
        return _CHANNELS.get(len(pixel))
    return None


def _from_numbers(rows: list[Any], mode: str) -> bytes:
    """A PNG of rows of pixels, whose numbers are 0 to 255, or fractions of 1."""
    height, width, channels = len(rows), len(rows[0]), len(rows[0][0])
    if width * height > MAX_PIXELS:
        raise ExecutionFailed(f"The endpoint answered a picture of more than {MAX_PIXELS} pixels.")
    try:
        are_even = all(len(row) == width and all(len(pixel) == channels for pixel in row) for row in rows)
        numbers = list(chain.from_iterable(chain.from_iterable(rows))) if are_even else []
        if any(type(number) is float for number in numbers):
            scale = 255 if max(numbers) <= 1 else 1
            numbers = [min(255, max(0, round(number * scale))) for number in numbers]
        image = Image.frombytes(mode, (width, height), bytes(numbers))
    except (TypeError, ValueError):
        raise ExecutionFailed("The endpoint answered a picture whose numbers are no rows of pixels.") from None
    held = io.BytesIO()
    image.save(held, "PNG", compress_level=1)
    return held.getvalue()


def _checked(data: bytes, seed: int | None = None) -> Output:
    media = identify(data[:HEAD_BYTES])
    if media.kind != "image":
        raise ExecutionFailed("The endpoint answered something that is no picture where one was expected.")
    size = picture_size(media)
    if size is not None and size[0] * size[1] > MAX_PIXELS:
        raise ExecutionFailed(f"The endpoint answered a picture of more than {MAX_PIXELS} pixels.")
    return Output(data, seed)


def _without_pictures(value: Any) -> ExecutionFailed | ContentFiltered:
    if not isinstance(value, dict):
        return ExecutionFailed("The endpoint answered JSON without a picture.")
    if any("filter" in str(reason).lower() for reason in _reasons(value)):
        return ContentFiltered()
    keys = ", ".join(sorted(map(str, value))[:10])
    return ExecutionFailed(f"The endpoint answered no picture; its answer has the keys {keys[:200] or '(none)'}.")


def _reasons(value: dict[str, Any]) -> Iterator[Any]:
    """Why there are no pictures, in Stability's two forms."""
    artifacts, reasons = (value[key] if isinstance(value.get(key), list) else [] for key in _REASONS)
    yield from (one.get("finishReason") for one in artifacts if isinstance(one, dict))
    yield from reasons
