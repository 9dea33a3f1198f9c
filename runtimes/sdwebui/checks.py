"""What the API can see of a request to SD WebUI: errors that SD WebUI would answer or, worse, silently ignore."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True, slots=True)
class _Range:
    """The numbers that SD WebUI 1.10.1 accepts; outside, it answers 422 or 500, or draws garbage."""

    min: float = -(2**63)
    max: float = 2**64 - 1
    is_above_min: bool = False

    def problem(self, value: Any) -> str | None:
        number = _number(value)
        if number is None:
            return f"must be a number, not {shown(value)}"
        if self.is_above_min and number <= self.min:
            return f"must be above {self.min}, not {shown(value)}"
        if number < self.min:
            return f"must be at least {self.min}, not {shown(value)}"
        return f"must be at most {self.max}, not {shown(value)}" if number > self.max else None


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


_GENERATE: Mapping[str, _Range] = {
    "steps": _Range(1),
    "width": _Range(8),
    "height": _Range(8),
    "batch_size": _Range(1),
    "n_iter": _Range(1),
    "cfg_scale": _Range(),
    "seed": _Range(),
    "subseed": _Range(),
    "denoising_strength": _Range(0, 1),
    "subseed_strength": _Range(),
    "hr_scale": _Range(0),
    "hr_resize_x": _Range(0),
    "hr_resize_y": _Range(0),
    "hr_second_pass_steps": _Range(0),
    "image_cfg_scale": _Range(),
}
_UPSCALE: Mapping[str, _Range] = {
    "resize_mode": _Range(0, 1),
    "upscaling_resize": _Range(0, is_above_min=True),
    "upscaling_resize_w": _Range(1),
    "upscaling_resize_h": _Range(1),
    "gfpgan_visibility": _Range(0, 1),
    "codeformer_visibility": _Range(0, 1),
    "codeformer_weight": _Range(0, 1),
    "extras_upscaler_2_visibility": _Range(0, 1),
}
_RANGES: Mapping[str, Mapping[str, _Range]] = {
    "text-to-image": _GENERATE,
    "image-to-image": _GENERATE,
    "extra-single-image": _UPSCALE,
    "extra-batch-images": _UPSCALE,
}
_TEXTS = ("prompt", "negative_prompt", "infotext")
_IMAGE_FIELDS = {"image-to-image": "init_images", "extra-single-image": "image", "extra-batch-images": "imageList"}


def check(content: Mapping[str, Any], tasktype: str, runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """Name the errors of a request's content.

    Args:
        content: The content, an object.
        tasktype: One that the runtime takes.
        runtime: Where it will run.
        at: Where the content stands in the request.
    """
    errors = [
        FieldError(field_path((*at, name)), problem)
        for name, accepted in _RANGES[tasktype].items()
        if content.get(name) is not None and (problem := accepted.problem(content[name]))
    ]
    yield from errors or _pixel_errors(content, tasktype, runtime.max_pixels, at)
    for name in _TEXTS:
        if content.get(name) is not None and not isinstance(content[name], str):
            yield FieldError(field_path((*at, name)), "must be a string")
    if isinstance(infotext := content.get("infotext"), str) and not has_readable_settings(infotext):
        yield FieldError(
            field_path((*at, "infotext")), f"may have at most {MAX_LINE_CHARS} characters in its last line"
        )
    scripts = content.get("alwayson_scripts")
    if scripts is not None and not isinstance(scripts, dict):
        yield FieldError(field_path((*at, "alwayson_scripts")), "must be an object")
        scripts = None
    yield from _check_images(content, scripts or {}, tasktype, at)
    for where, parent in ((at, content), ((*at, "alwayson_scripts"), scripts or {})):
        settings = parent.get("override_settings")
        if settings is not None and not isinstance(settings, dict):
            yield FieldError(field_path((*where, "override_settings")), f"must be an object, not {shown(settings)}")
    yield from _check_checkpoints(content, runtime, at)


def _check_images(
    content: Mapping[str, Any], scripts: Mapping[str, Any], tasktype: str, at: FieldPath
) -> Iterator[FieldError]:
    link = scripts.get("image_link")
    if link is not None and not isinstance(link, str):
        yield FieldError(field_path((*at, "alwayson_scripts", "image_link")), "must be a string")
    name = _IMAGE_FIELDS.get(tasktype)
    if name is None:
        return
    here = (*at, name)
    value = content.get(name)
    if not value:
        if not link:
            yield FieldError(field_path(here), "is required: a link (http, https or s3) or base64")
    elif name == "image":
        if not isinstance(value, str):
            yield FieldError(field_path(here), "must be a string: a link or base64")
    elif not isinstance(value, list):
        yield FieldError(field_path(here), "must be a list")
    else:
        for index, item in enumerate(value):
            if name == "imageList":
                data, expected = (
                    item.get("data") if isinstance(item, dict) else None,
                    'an object {"data": …, "name": …}',
                )
            else:
                data, expected = item, "a link or base64"
            if not isinstance(data, str) or not data:
                yield FieldError(field_path((*here, index)), f"must be {expected}")


def _check_checkpoints(content: Mapping[str, Any], runtime: DeployedRuntime, at: FieldPath) -> Iterator[FieldError]:
    """One checkpoint at most draws, however often it is spelled; on a static runtime only its own is named.

    In many places SD WebUI accepts an unknown checkpoint without a word and draws with another.
    """
    asked: str | None = None
    for named in named_checkpoints(content):
        if problem := _checkpoint_problem(named.name, runtime) or (named.draws and _conflict(named.name, asked)):
            yield FieldError(field_path((*at, *named.path)), problem)
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

Given = Callable[[str, float], float]


def _pixel_errors(content: Mapping[str, Any], tasktype: str, max_pixels: int, at: FieldPath) -> Iterator[FieldError]:
    """Name what makes SD WebUI hold too many pixels at once: its own limits end where the memory does."""

    def given(name: str, default: float) -> float:
        value = _number(content.get(name))
        return default if value is None else max(value, 0)

    held = _upscaled(given) if tasktype.startswith("extra-") else _drawn(content, given)
    for name, words, pixels in held:
        if pixels > max_pixels:
            problem = f"{words} {pixels:.0f} pixels at once; at most {max_pixels} are allowed (maxPixels)"
            yield FieldError(field_path((*at, name)), problem)
            return


def _drawn(content: Mapping[str, Any], given: Given) -> Iterator[tuple[str, str, float]]:
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


def _upscaled(given: Given) -> Iterator[tuple[str, str, float]]:
    if given("resize_mode", 0) == 1:
        width, height = given("upscaling_resize_w", _SIDE), given("upscaling_resize_h", _SIDE)
        yield "upscaling_resize_w", "times upscaling_resize_h makes", width * height
    else:
        yield "upscaling_resize", f"makes of {_SIDE} x {_SIDE}", (_SIDE * given("upscaling_resize", 2)) ** 2
