"""The bodies that SD WebUI takes, checked as pydantic 1 checks them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from runtimes.sdwebui.standin.errors import InvalidError, fault


class WrongError(Exception):
    """A value does not fit its type; `path` leads on from the field into the value."""

    def __init__(self, message: str, kind: str, path: tuple[str | int, ...] = (), **context: object) -> None:
        super().__init__(message)
        self.kind = kind
        self.path = path
        self.context = context


def take_int(value: Any) -> int:
    """Return a whole number as pydantic 1 reads it: fractions are cut off, digits in text count."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongError("value is not a valid integer", "type_error.integer") from error


def take_float(value: Any) -> float:
    """Return a number, also from text."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise WrongError("value is not a valid float", "type_error.float") from error


def take_str(value: Any) -> str:
    """Return text, also from a number."""
    if isinstance(value, str | int | float):
        return str(value)
    raise WrongError("str type expected", "type_error.str")


def take_bool(value: Any) -> bool:
    """Return a truth value, also from the usual words for one."""
    word = value.lower() if isinstance(value, str) else value
    if isinstance(word, str | int | float):
        if word in {1, "1", "on", "t", "true", "y", "yes"}:
            return True
        if word in {0, "0", "off", "f", "false", "n", "no"}:
            return False
    raise WrongError("value could not be parsed to a boolean", "type_error.bool")


def take_list(value: Any) -> list[Any]:
    """Return a list of anything."""
    if isinstance(value, list):
        return value
    raise WrongError("value is not a valid list", "type_error.list")


def take_dict(value: Any) -> dict[str, Any]:
    """Return an object."""
    if isinstance(value, dict):
        return value
    raise WrongError("value is not a valid dict", "type_error.dict")


def take_words(value: Any) -> list[str]:
    """Return a list of text."""
    words = []
    for index, one in enumerate(take_list(value)):
        try:
            words.append(take_str(one))
        except WrongError as error:
            raise WrongError(str(error), error.kind, (index,)) from error
    return words


def take_files(value: Any) -> list[dict[str, str]]:
    """Return a list of {data, name}."""
    files = []
    for index, one in enumerate(take_list(value)):
        for key in ("data", "name"):
            if key not in take_dict(one):
                raise WrongError("field required", "value_error.missing", (index, key))
        files.append({"data": take_str(one["data"]), "name": take_str(one["name"])})
    return files


def between(low: float, high: float) -> Callable[[Any], float]:
    """Return a reader of numbers from low to high, both allowed."""

    def take(value: Any) -> float:
        number = take_float(value)
        if number < low:
            raise WrongError(
                f"ensure this value is greater than or equal to {low}", "value_error.number.not_ge", limit_value=low
            )
        if number > high:
            raise WrongError(
                f"ensure this value is less than or equal to {high}", "value_error.number.not_le", limit_value=high
            )
        return number

    return take


def take_factor(value: Any) -> float:
    """Return a number above zero."""
    number = take_float(value)
    if number <= 0:
        raise WrongError("ensure this value is greater than 0", "value_error.number.not_gt", limit_value=0)
    return number


def take_pixels(value: Any) -> int:
    """Return a whole number from 1."""
    number = take_int(value)
    if number < 1:
        raise WrongError("ensure this value is greater than or equal to 1", "value_error.number.not_ge", limit_value=1)
    return number


def take_resize_mode(value: Any) -> int:
    """Return 0 or 1."""
    if value not in (0, 1) or isinstance(value, bool):
        raise WrongError("unexpected value; permitted: 0, 1", "value_error.const", given=value, permitted=[0, 1])
    return int(value)


REQUIRED = object()


@dataclass(frozen=True)
class Field:
    """One field of a body; its default is reported as it stands here, unread."""

    take: Callable[[Any], Any]
    default: Any = field(default=None)
    nullable: bool = True


Schema = Mapping[str, Field]

_ADDED: dict[str, Field] = {
    "script_name": Field(take_str),
    "script_args": Field(take_list, [], nullable=False),
    "send_images": Field(take_bool, True, nullable=False),
    "save_images": Field(take_bool, False, nullable=False),
    "alwayson_scripts": Field(take_dict, {}, nullable=False),
    "infotext": Field(take_str),
}


def _processing(denoising_strength: float | None) -> dict[str, Field]:
    return {
        "prompt": Field(take_str, ""),
        "negative_prompt": Field(take_str, ""),
        "styles": Field(take_words),
        "seed": Field(take_int, -1),
        "subseed": Field(take_int, -1),
        "subseed_strength": Field(take_float, 0),
        "seed_resize_from_h": Field(take_int, -1),
        "seed_resize_from_w": Field(take_int, -1),
        "sampler_name": Field(take_str),
        "scheduler": Field(take_str),
        "batch_size": Field(take_int, 1),
        "n_iter": Field(take_int, 1),
        "steps": Field(take_int, 50),
        "cfg_scale": Field(take_float, 7.0),
        "width": Field(take_int, 512),
        "height": Field(take_int, 512),
        "restore_faces": Field(take_bool),
        "tiling": Field(take_bool),
        "do_not_save_samples": Field(take_bool, False),
        "do_not_save_grid": Field(take_bool, False),
        "eta": Field(take_float),
        "denoising_strength": Field(take_float, denoising_strength),
        "s_min_uncond": Field(take_float),
        "s_churn": Field(take_float),
        "s_tmax": Field(take_float),
        "s_tmin": Field(take_float),
        "s_noise": Field(take_float),
        "override_settings": Field(take_dict),
        "override_settings_restore_afterwards": Field(take_bool, True),
        "refiner_checkpoint": Field(take_str),
        "refiner_switch_at": Field(take_float),
        "disable_extra_networks": Field(take_bool, False),
        "firstpass_image": Field(take_str),
        "comments": Field(take_dict),
    }


TEXT_TO_IMAGE: Schema = {
    **_processing(denoising_strength=None),
    "enable_hr": Field(take_bool, False),
    "firstphase_width": Field(take_int, 0),
    "firstphase_height": Field(take_int, 0),
    "hr_scale": Field(take_float, 2.0),
    "hr_upscaler": Field(take_str),
    "hr_second_pass_steps": Field(take_int, 0),
    "hr_resize_x": Field(take_int, 0),
    "hr_resize_y": Field(take_int, 0),
    "hr_checkpoint_name": Field(take_str),
    "hr_sampler_name": Field(take_str),
    "hr_scheduler": Field(take_str),
    "hr_prompt": Field(take_str, ""),
    "hr_negative_prompt": Field(take_str, ""),
    "force_task_id": Field(take_str),
    "sampler_index": Field(take_str, "Euler", nullable=False),
    **_ADDED,
}

IMAGE_TO_IMAGE: Schema = {
    **_processing(denoising_strength=0.75),
    "init_images": Field(take_list),
    "resize_mode": Field(take_int, 0),
    "image_cfg_scale": Field(take_float),
    "mask": Field(take_str),
    "mask_blur_x": Field(take_int, 4),
    "mask_blur_y": Field(take_int, 4),
    "mask_blur": Field(take_int),
    "mask_round": Field(take_bool, True),
    "inpainting_fill": Field(take_int, 0),
    "inpaint_full_res": Field(take_bool, True),
    "inpaint_full_res_padding": Field(take_int, 0),
    "inpainting_mask_invert": Field(take_int, 0),
    "initial_noise_multiplier": Field(take_float),
    "latent_mask": Field(take_str),
    "force_task_id": Field(take_str),
    "sampler_index": Field(take_str, "Euler", nullable=False),
    "include_init_images": Field(take_bool, False, nullable=False),
    **_ADDED,
}

_EXTRAS: dict[str, Field] = {
    "resize_mode": Field(take_resize_mode, 0, nullable=False),
    "show_extras_results": Field(take_bool, True, nullable=False),
    "gfpgan_visibility": Field(between(0, 1), 0, nullable=False),
    "codeformer_visibility": Field(between(0, 1), 0, nullable=False),
    "codeformer_weight": Field(between(0, 1), 0, nullable=False),
    "upscaling_resize": Field(take_factor, 2, nullable=False),
    "upscaling_resize_w": Field(take_pixels, 512, nullable=False),
    "upscaling_resize_h": Field(take_pixels, 512, nullable=False),
    "upscaling_crop": Field(take_bool, True, nullable=False),
    "upscaler_1": Field(take_str, "None", nullable=False),
    "upscaler_2": Field(take_str, "None", nullable=False),
    "extras_upscaler_2_visibility": Field(between(0, 1), 0, nullable=False),
    "upscale_first": Field(take_bool, False, nullable=False),
}
EXTRA_SINGLE: Schema = {**_EXTRAS, "image": Field(take_str, "", nullable=False)}
EXTRA_BATCH: Schema = {**_EXTRAS, "imageList": Field(take_files, REQUIRED, nullable=False)}
PNG_INFO: Schema = {"image": Field(take_str, REQUIRED, nullable=False)}


async def read_json(request: web.Request) -> Any:
    """Return the request's JSON.

    Raises:
        InvalidError: There is no body, or it is no JSON.
    """
    body = await request.read()
    if not body:
        raise InvalidError([fault(["body"], "field required", "value_error.missing")])
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        context = {"msg": error.msg, "doc": error.doc, "pos": error.pos, "lineno": error.lineno, "colno": error.colno}
        raise InvalidError([fault(["body", error.pos], str(error), "value_error.jsondecode", **context)]) from error


async def read_object(request: web.Request) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises:
        InvalidError: The body is missing, no JSON or no object.
    """
    body = await read_json(request)
    if not isinstance(body, dict):
        raise InvalidError([fault(["body"], "value is not a valid dict", "type_error.dict")])
    return body


async def read_body(request: web.Request, schema: Schema) -> dict[str, Any]:
    """Return every field of the schema; unknown fields are dropped in silence.

    Raises:
        InvalidError: The body does not fit; every fault is named.
    """
    body = await read_object(request)
    values: dict[str, Any] = {}
    faults: list[dict[str, Any]] = []
    for name, one in schema.items():
        if name not in body:
            if one.default is REQUIRED:
                faults.append(fault(["body", name], "field required", "value_error.missing"))
            values[name] = one.default
        elif body[name] is None and one.nullable:
            values[name] = None
        elif body[name] is None:
            faults.append(fault(["body", name], "none is not an allowed value", "type_error.none.not_allowed"))
        else:
            try:
                values[name] = one.take(body[name])
            except WrongError as error:
                faults.append(fault(["body", name, *error.path], str(error), error.kind, **error.context))
    if faults:
        raise InvalidError(faults)
    return values
