"""How many pixels a request makes SD WebUI hold at once: its own limits end where the memory does."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from contract.field_errors import FieldError, FieldPath, field_path

_SIDE = 512
"""What a picture has where a request does not say it. So large, at least, is one that is upscaled by a factor."""

Number = Callable[[Any], float | None]


def pixel_faults(
    content: Mapping[str, Any], tasktype: str, most: int, number: Number, at: FieldPath
) -> Iterator[FieldError]:
    """Name what holds too many pixels.

    Args:
        content: A request whose numbers are in their ranges.
        tasktype: Its task type.
        most: How many it may hold.
        number: Reads a number as SD WebUI does; None for what is none.
        at: Where the content stands.
    """

    def given(name: str, default: float) -> float:
        value = number(content.get(name))
        return default if value is None else max(value, 0)

    held = _upscaled if tasktype.startswith("extra-") else _drawn
    for field, words, pixels in held(content, given):
        if pixels > most:
            problem = f"{words} {pixels:.0f} pixels at once; at most {most} are allowed (maxPixels)"
            yield FieldError(field_path((*at, field)), problem)
            return


def _drawn(content: Mapping[str, Any], given: Callable[[str, float], float]) -> Iterator[tuple[str, str, float]]:
    width, height, batch = given("width", _SIDE), given("height", _SIDE), given("batch_size", 1)
    yield "width", "times height makes", width * height
    yield "batch_size", "times width and height makes", width * height * batch
    if content.get("enable_hr"):
        scale = given("hr_scale", 2)
        wide, high = given("hr_resize_x", 0), given("hr_resize_y", 0)
        if wide or high:
            wide, high = wide or high * width / max(height, 1), high or wide * height / max(width, 1)
        else:
            wide, high = width * scale, height * scale
        sides = [name for name in ("hr_resize_x", "hr_resize_y") if given(name, 0)]
        yield (sides or ["hr_scale"])[0], "makes with batch_size", wide * high * batch


def _upscaled(_: Mapping[str, Any], given: Callable[[str, float], float]) -> Iterator[tuple[str, str, float]]:
    if given("resize_mode", 0) == 1:
        width, height = given("upscaling_resize_w", _SIDE), given("upscaling_resize_h", _SIDE)
        yield "upscaling_resize_w", "times upscaling_resize_h makes", width * height
    else:
        yield "upscaling_resize", f"makes of {_SIDE} x {_SIDE}", (_SIDE * given("upscaling_resize", 2)) ** 2
