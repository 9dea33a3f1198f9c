"""From a task to the one HTTP call that runs it."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pybase64

from contract.field_errors import field_path
from contract.image_headers import READERS, extent_of
from contract.inputs import is_data_url
from contract.task import CHECKPOINT_ATTRIBUTE, Task
from queue_agent.errors import InputError, InvalidTask
from queue_agent.inputs.links import InputSite, find_sites
from queue_agent.media import Media
from queue_agent.ports import Work, units_of
from runtimes._http import write_json
from runtimes.catalog import DEFAULT_MAX_PIXELS
from runtimes.sdwebui.checkpoints import MAX_CHECKPOINT_CHARS, MAX_LINE_CHARS, has_readable_settings, named_checkpoints
from runtimes.sdwebui.driver.conversion import converted
from runtimes.sdwebui.driver.infotext import overridden_by, without_checkpoint

_PATHS: Mapping[str, str] = {
    "text-to-image": "txt2img",
    "image-to-image": "img2img",
    **{upscaling: upscaling for upscaling in ("extra-single-image", "extra-batch-images")},
}
_UPSCALING = 2
"""The factor by which SD WebUI upscales by default."""
_GENERATING = frozenset({"txt2img", "img2img"})
_PLATFORM_KEYS = (
    "task",
    CHECKPOINT_ATTRIBUTE,
    "id_task",
    "uid",
    "image_link",
    "save_dir",
    "sd_vae",
    "override_settings",
)
"""What stands among alwayson_scripts for the platform; SD WebUI would take each for the name of a script."""

PREVIEW_SETTINGS: Mapping[str, Any] = {
    "live_previews_enable": True,
    "show_progress_type": "Approx cheap",
    "show_progress_every_n_steps": 1,
}
"""With these the server makes a small picture of the latents, when it is asked for one, at hardly any cost; other types
need models of their own, which it would download."""
_SAVING_SETTINGS = ("save_", "samples_save", "grid_save")
"""How settings begin that make the server write files."""
_IMAGE_FIELDS = frozenset(
    {"init_images", "mask", "latent_mask", "firstpass_image", "image", "images", "input_image", "mask_image"}
)
_SCRIPT_FIELDS = frozenset({"alwayson_scripts", "script_args"})
"""What stands there is read by extensions, some of which take pictures under names of their own, or under none."""


@dataclass(slots=True)
class Call:
    """The call that runs a task.

    Attributes:
        path: Below /sdapi/v1/.
        checkpoint: The checkpoint that the task asks for; None keeps the loaded one.
        other_checkpoints: Further ones that it names, as a refiner.
        overridden: Names of the settings that the task overrides.
        body: The request until it is written; links and pictures stand at its sites.
        content: Its JSON, written beforehand, so that a free GPU does not wait for it.
    """

    path: str
    checkpoint: str | None
    other_checkpoints: tuple[str, ...]
    overridden: frozenset[str]
    work: Work
    body: dict[str, Any]
    sites: list[InputSite]
    content: bytes = b""

    def write(self, fetched: Mapping[str, Media], max_pixels: int = DEFAULT_MAX_PIXELS) -> None:
        """Put every picture into the body in base64, whether it stood there or a link to it; then write the request.

        Raises:
            InputError: One cannot be written as SD WebUI is to have it, or would have more than so many pixels.
        """
        self._check_size(fetched, max_pixels)
        given = converted(fetched)
        encoded = {text: pybase64.b64encode_as_string(media.data) for text, media in given.items()}
        for site in self.sites:
            text = site.input.text
            if (media := given.get(text)) is not None:
                head = f"data:{media.content_type};base64," if is_data_url(text) else ""
                site.replace(head + encoded[text])
        self.content = write_json(self.body)
        self.body, self.sites = {}, []  # or every picture would be held twice

    def content_for(self, job: str) -> tuple[bytes | memoryview, ...]:
        """The request's JSON under the job's id, by which the server's own log and progress name it; in parts."""
        if self.path not in _GENERATING:
            return (self.content,)
        return b'{"force_task_id":"' + job.encode() + b'",', memoryview(self.content)[1:]

    def _check_size(self, fetched: Mapping[str, Media], max_pixels: int) -> None:
        """Make sure that no picture is upscaled beyond a limit: the server's memory would end, and the pod with it."""
        factor = _number(self.body.get("upscaling_resize"), _UPSCALING)
        if self.path in _GENERATING or _number(self.body.get("resize_mode"), 0):
            return
        for site in self.sites:
            if (media := fetched.get(site.input.text)) is None or media.extension not in READERS:
                continue
            size = extent_of(media.data, media.extension)
            if (pixels := size.width * factor * size.height * factor) > max_pixels:
                raise InputError(
                    f"{site.input.field}: {size.width} x {size.height} pixels upscaled by {factor:g} are {pixels:.0f}; "
                    f"at most {max_pixels} are allowed (maxPixels)"
                )


def _work_of(path: str, body: Mapping[str, Any]) -> Work:
    if path not in _GENERATING:
        return Work(path, 1)
    shape = [str(body.get(key)) for key in ("width", "height", "batch_size", "sampler_name", "enable_hr")]
    return Work(" ".join((path, *shape)), units_of(body.get("steps"), 50) * units_of(body.get("n_iter")))


def call_of(task: Task) -> Call:
    """Write a task's call.

    Raises:
        InvalidTask: SD WebUI has no such task type, or the content is not of its shape.
    """
    tasktype = task.metadata.tasktype
    path = _PATHS.get(tasktype)
    if path is None:
        raise InvalidTask(f"SD WebUI has no task type {tasktype}; it has {', '.join(_PATHS)}.")
    content = task.content or {}
    checkpoint, others = _checkpoints_in(content)
    # Null stands for what is left out; SD WebUI takes it for a value in fields that have no such value.
    body = {key: value for key, value in copy.deepcopy(content).items() if value is not None}
    scripts = _mapping(body, "alwayson_scripts")
    previews = PREVIEW_SETTINGS if "preview" in (task.metadata.keep or ()) else {}
    platform = {key: scripts.pop(key) for key in _PLATFORM_KEYS if key in scripts}
    settings = {**previews, **_mapping(body, "override_settings"), **_mapping(platform, "override_settings")}
    if platform.get("sd_vae"):
        settings["sd_vae"] = platform["sd_vae"]
    for key in (CHECKPOINT_ATTRIBUTE, "force_task_id", "alwayson_scripts", "override_settings"):
        body.pop(key, None)
    if isinstance(infotext := body.get("infotext"), str):
        body["infotext"] = without_checkpoint(infotext)
    _put_image_link(body, path, platform.get("image_link"))
    if path in _GENERATING:
        body["alwayson_scripts"] = scripts
        body["override_settings"] = {
            key: value
            for key, value in settings.items()
            if value is not None and key != CHECKPOINT_ATTRIBUTE and not key.startswith(_SAVING_SETTINGS)
        }
        # Settings are one task's: the next one must find the server as this one did. Nor may it withhold the pictures.
        body["override_settings_restore_afterwards"] = True
        body["send_images"] = True
        # Files on the server's disk reach nobody, and nobody removes them.
        body["save_images"] = False
    else:  # no checkpoint draws
        checkpoint, others = None, ()
    image_fields = _IMAGE_FIELDS | {"data"} if path == "extra-batch-images" else _IMAGE_FIELDS
    overridden = frozenset(body.get("override_settings") or ()) | overridden_by(body.get("infotext"))
    sites = list(find_sites(body, image_fields, open_fields=_SCRIPT_FIELDS))
    return Call(path, checkpoint, others, overridden, _work_of(path, body), body, sites)


def _checkpoints_in(content: Mapping[str, Any]) -> tuple[str | None, tuple[str, ...]]:
    """The checkpoint that draws, and all others that a task names, each once."""
    if isinstance(infotext := content.get("infotext"), str) and not has_readable_settings(infotext):
        raise InvalidTask(f"infotext may have at most {MAX_LINE_CHARS} characters in its last line.")
    named = list(named_checkpoints(content))
    for one in named:
        if not isinstance(one.name, str) or len(one.name) > MAX_CHECKPOINT_CHARS:
            raise InvalidTask(f"{field_path(one.path)} must be text of at most {MAX_CHECKPOINT_CHARS} characters.")
    drawing = next((one.name for one in named if one.draws), None)
    return drawing, tuple(dict.fromkeys(one.name for one in named if one.name != drawing))


def _put_image_link(body: dict[str, Any], path: str, link: Any) -> None:
    """v1alpha1 names the input image beside the body; it goes where the endpoint reads images."""
    if not link:
        return
    if path == "img2img":
        body["init_images"] = [*(body.get("init_images") or []), link]
    elif path == "extra-single-image":
        body["image"] = link
    elif path == "extra-batch-images":
        body["imageList"] = [*(body.get("imageList") or []), {"data": link, "name": "image_link"}]


def _number(value: Any, default: float) -> float:
    """Read a number as SD WebUI does, which takes text, too; what is none is the server's to refuse."""
    try:
        return default if value is None else float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def _mapping(parent: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidTask(f"{key} must be an object.")
    return value
