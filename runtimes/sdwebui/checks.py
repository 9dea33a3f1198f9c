"""What the API can see of a request to SD WebUI: errors that SD WebUI would answer or, worse, silently ignore."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from contract.field_errors import FieldError, FieldPath, field_path, shown
from runtimes.catalog import DeployedRuntime
from runtimes.sdwebui.checkpoints import (
    MAX_CHECKPOINT_CHARS,
    MAX_LINE_CHARS,
    has_readable_settings,
    is_checkpoint_hash,
    named_checkpoints,
    same_checkpoint,
)
from runtimes.sdwebui.server_checks import missing_from_servers


class NumberRange(NamedTuple):
    """The numbers that SD WebUI 1.10.1 accepts; outside, it answers 422 or 500, or draws garbage."""

    min: float = -(2**63)
    max: float = 2**64 - 1
    is_above_min: bool = False


_FRACTION = NumberRange(0, 1)
_GENERATE: Mapping[str, NumberRange] = {
    **dict.fromkeys(("steps", "batch_size", "n_iter"), NumberRange(1)),
    **dict.fromkeys(("width", "height"), NumberRange(8)),
    **dict.fromkeys(("cfg_scale", "image_cfg_scale", "seed", "subseed", "subseed_strength"), NumberRange()),
    **dict.fromkeys(("hr_scale", "hr_resize_x", "hr_resize_y", "hr_second_pass_steps"), NumberRange(0)),
    "denoising_strength": _FRACTION,
}
_UPSCALE: Mapping[str, NumberRange] = {
    "upscaling_resize": NumberRange(0, is_above_min=True),
    **dict.fromkeys(("upscaling_resize_w", "upscaling_resize_h"), NumberRange(1)),
    **dict.fromkeys(("resize_mode", "gfpgan_visibility", "codeformer_visibility", "codeformer_weight"), _FRACTION),
    "extras_upscaler_2_visibility": _FRACTION,
}
_TEXTS = ("prompt", "negative_prompt", "infotext")
IMAGE_FIELDS = {"image-to-image": "init_images", "extra-single-image": "image", "extra-batch-images": "imageList"}


def ranges_of(tasktype: str) -> Mapping[str, NumberRange]:
    """The fields of a task type that are numbers with limits."""
    return _UPSCALE if tasktype.startswith("extra-") else _GENERATE


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Name the errors of a request's content; see ``api.content``."""
    is_sound = True
    for path, problem in _problems(content, tasktype, runtime):
        is_sound = False
        yield FieldError(field_path((*at, *path)), problem)
    if is_sound:
        for path, problem in missing_from_servers(content, tasktype, runtime):
            yield FieldError(field_path((*at, *path)), problem)


def _problems(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime) -> Iterator[tuple[FieldPath, str]]:
    upscales = tasktype.startswith("extra-")
    numbers = list(_number_problems(content, ranges_of(tasktype)))
    yield from numbers or _pixel_problems(content, runtime.max_pixels, upscales=upscales)
    for text in _TEXTS:
        if not isinstance(content.get(text), str | None):
            yield (text,), "must be a string"
    if isinstance(infotext := content.get("infotext"), str) and not has_readable_settings(infotext):
        yield ("infotext",), f"may have at most {MAX_LINE_CHARS} characters in its last line"
    scripts = content.get("alwayson_scripts")
    if not isinstance(scripts, dict | None):
        yield ("alwayson_scripts",), "must be an object"
        scripts = None
    link = (scripts or {}).get("image_link")
    if not isinstance(link, str | None):
        yield ("alwayson_scripts", "image_link"), "must be a string"
    if (name := IMAGE_FIELDS.get(tasktype)) and not (link and not content.get(name)):
        yield from _image_problems(name, content.get(name))
    for path, parent in (((), content), (("alwayson_scripts",), scripts or {})):
        settings = parent.get("override_settings")
        if not isinstance(settings, dict | None):
            yield (*path, "override_settings"), f"must be an object, not {shown(settings)}"
    yield from _checkpoint_problems(content, runtime)


def _number_problems(content: Mapping[str, Any], ranges: Mapping[str, NumberRange]) -> Iterator[tuple[FieldPath, str]]:
    for name, accepted in ranges.items():
        if (value := content.get(name)) is None:
            continue
        number = _number(value)
        if number is None:
            yield (name,), f"must be a number, not {shown(value)}"
        elif accepted.is_above_min and number <= accepted.min:
            yield (name,), f"must be above {accepted.min}, not {shown(value)}"
        elif number < accepted.min:
            yield (name,), f"must be at least {accepted.min}, not {shown(value)}"
        elif number > accepted.max:
            yield (name,), f"must be at most {accepted.max}, not {shown(value)}"


def _number(value: Any) -> float | None:
    """A number, or a text that is one, as SD WebUI takes both; None for everything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _image_problems(name: str, value: Any) -> Iterator[tuple[FieldPath, str]]:
    if not value:
        yield (name,), "is required: a link (http, https or s3) or base64"
    elif name == "image":
        if not isinstance(value, str):
            yield (name,), "must be a string: a link or base64"
    elif not isinstance(value, list):
        yield (name,), "must be a list"
    else:
        is_batch = name == "imageList"
        for index, item in enumerate(value):
            data = item.get("data") if is_batch and isinstance(item, dict) else None if is_batch else item
            if not isinstance(data, str) or not data:
                expected = 'an object {"data": …, "name": …}' if is_batch else "a link or base64"
                yield (name, index), f"must be {expected}"


def _checkpoint_problems(content: Mapping[str, Any], runtime: DeployedRuntime) -> Iterator[tuple[FieldPath, str]]:
    """One checkpoint at most draws, however often it is spelled; on a static runtime only its own is named.

    In many places SD WebUI accepts an unknown checkpoint without a word and draws with another.
    """
    asked: str | None = None
    for named in named_checkpoints(content):
        if problem := _checkpoint_problem(named.name, runtime) or (named.draws and _conflict(named.name, asked)):
            yield named.path, problem
        elif named.draws:
            asked = asked or named.name


def _checkpoint_problem(name: Any, runtime: DeployedRuntime) -> str | None:
    if not isinstance(name, str):
        return f"must be a string, not {shown(name)}"
    if len(name) > MAX_CHECKPOINT_CHARS:
        return f"may have at most {MAX_CHECKPOINT_CHARS} characters"
    served = runtime.model_filename
    if served is None or same_checkpoint(name, served) or is_checkpoint_hash(name):
        return None
    return f"must be {served}, which runtime {runtime.name} serves, or left out, not {shown(name)}"


def _conflict(name: str, asked: str | None) -> str | None:
    # What a hash stands for is known to the model server alone.
    if asked is None or is_checkpoint_hash(name) or is_checkpoint_hash(asked) or same_checkpoint(name, asked):
        return None
    return f"asks for another checkpoint than {asked}"


_SIDE = 512
"""A picture's side where the request does not say it; at least this is taken for one that is upscaled by a factor."""


def _pixel_problems(content: Mapping[str, Any], max_pixels: int, *, upscales: bool) -> Iterator[tuple[FieldPath, str]]:
    """Name what makes SD WebUI hold too many pixels at once: its own limits end where the memory does."""

    def given(name: str, default: float) -> float:
        value = _number(content.get(name))
        return default if value is None else max(value, 0)

    held = _upscaled(given) if upscales else _drawn(given, enable_hr=bool(content.get("enable_hr")))
    for name, words, pixels in held:
        if pixels > max_pixels:
            yield (name,), f"{words} {pixels:.0f} pixels at once; at most {max_pixels} are allowed (maxPixels)"
            return


def _drawn(given: Callable[[str, float], float], *, enable_hr: bool) -> Iterator[tuple[str, str, float]]:
    width, height, batch = given("width", _SIDE), given("height", _SIDE), given("batch_size", 1)
    yield "width", "times height makes", width * height
    yield "batch_size", "times width and height makes", width * height * batch
    if enable_hr:
        wide, high = given("hr_resize_x", 0), given("hr_resize_y", 0)
        name = "hr_resize_x" if wide else "hr_resize_y" if high else "hr_scale"
        if name == "hr_scale":
            scale = given("hr_scale", 2)
            wide, high = width * scale, height * scale
        wide, high = wide or high * width / max(height, 1), high or wide * height / max(width, 1)
        yield name, "makes with batch_size", wide * high * batch


def _upscaled(given: Callable[[str, float], float]) -> Iterator[tuple[str, str, float]]:
    if given("resize_mode", 0) == 1:
        width, height = given("upscaling_resize_w", _SIDE), given("upscaling_resize_h", _SIDE)
        yield "upscaling_resize_w", "times upscaling_resize_h makes", width * height
    else:
        yield "upscaling_resize", f"makes of {_SIDE} x {_SIDE}", (_SIDE * given("upscaling_resize", 2)) ** 2
