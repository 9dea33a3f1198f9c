"""From a task to the request that the server gets."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pybase64
from pydantic import ValidationError

from contract.field_errors import field_errors_of
from contract.task import Task
from queue_agent.errors import InvalidTask
from queue_agent.inputs.links import InputSite, find_sites
from queue_agent.media import Media
from queue_agent.ports import Work
from runtimes._http import write_json
from runtimes._wording import in_words
from runtimes.flux.driver.answer import ServedModel
from runtimes.flux.families import EDIT
from runtimes.flux.requests import REQUESTS, FluxRequest

_IMAGE_FIELDS = frozenset({"image", "images", "mask"})
"""Where images stand, in base64 or as links."""
_SENT_AS = {"image_url": "image", "mask_url": "mask"}
"""Fields that hold only links, and where the server wants the image itself."""
_INPUT_FIELDS = _IMAGE_FIELDS | _SENT_AS.keys()
_SHAPING = ("width", "height", "size", "strength", "preview")
"""What a step's time depends on, and how many of the steps are done."""
_BATCH_PIXELS = 512 * 512
"""Larger pictures fill a batch sooner: one of 1024 x 1024 is taken to keep a GPU busy by itself (not measured)."""
_LAST_STEPS = 1.5
"""The server decides what it draws next before the last step; decoding follows it, and is taken for half of one."""


@dataclass(slots=True)
class PreparedRequest:
    """A task's request.

    Attributes:
        body: The request until it is written; links and images stand at its sites.
        content: Its JSON, written beforehand, so that a free GPU does not wait for it.
    """

    task_type: str
    work: Work
    body: dict[str, Any]
    sites: Sequence[InputSite]
    content: bytes = b""

    def write(self, fetched: Mapping[str, Media]) -> None:
        """Put every image into the body in base64, whether it stood there or a link to it; then write the request."""
        encoded = {text: pybase64.b64encode_as_string(media.data) for text, media in fetched.items()}
        for site in self.sites:
            if (image := encoded.get(site.input.text)) is None:
                continue
            if (name := _SENT_AS.get(str(site.key))) is None:
                site.replace(image)
            else:
                del site.container[site.key]
                site.container[name] = image
        self.content = write_json(self.body)
        self.body, self.sites = {}, ()  # or every image would be held twice

    def under(self, server_job: str) -> tuple[bytes, ...]:
        """The body of the POST that begins it as the job of that id, in parts."""
        head = f'{{"job_id":"{server_job}","task_type":"{self.task_type}","request":'
        return head.encode(), self.content, b"}"


def request_of(task: Task, served: ServedModel) -> PreparedRequest:
    """Read a task's request for what the server draws with.

    Raises:
        InvalidTask: The server has no such task type, or the content is not of its shape; all its errors are named.
    """
    task_type = task.metadata.tasktype
    if task_type not in REQUESTS:
        raise InvalidTask(f"Runtime type flux has no task type {task_type}; it has {', '.join(REQUESTS)}.")
    body = copy.deepcopy(task.content or {})
    try:
        request = REQUESTS[task_type].model_validate(body)
    except ValidationError as exc:
        errors = field_errors_of(exc, REQUESTS[task_type], body)
        raise InvalidTask(in_words(errors)) from exc
    work = _work_of(task_type, request, served)
    return PreparedRequest(task_type, work, body, list(find_sites(body, _INPUT_FIELDS)))


def _work_of(task_type: str, request: FluxRequest, served: ServedModel) -> Work:
    """The steps of all pictures. Requests that leave the steps to the model are a kind of their own."""
    steps = request.num_inference_steps
    guided_twice = (request.true_cfg_scale or 1) > 1
    shape = [getattr(request, name, None) for name in _SHAPING]
    references = len(getattr(request, "sources", ()))
    kind = " ".join(map(str, (task_type, *shape, references, guided_twice, steps is None)))
    together = 1 if task_type == EDIT else max(1, int(served.max_batch / _batch_share(request, served)))
    drawn_steps = (steps or served.steps or 1) * (getattr(request, "strength", None) or 1)
    last_call = min(1.0, _LAST_STEPS / drawn_steps) if together > 1 else 0
    return Work(kind, (steps or 1) * request.num_images, together, last_call)


def _batch_share(request: FluxRequest, served: ServedModel) -> float:
    """How many pictures of a batch a request's pictures stand for."""
    width, height = (getattr(request, side, None) or served.size for side in ("width", "height"))
    return request.num_images * max(1.0, width * height / _BATCH_PIXELS)
