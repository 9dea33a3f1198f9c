"""From a task to the body that the endpoint gets."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pybase64

from contract.deadlines import Deadlines
from contract.strict_json import utf8
from contract.task import Task
from queue_agent.errors import InvalidTask
from queue_agent.inputs.links import InputSite, find_sites
from queue_agent.media import Media
from queue_agent.ports import Work
from runtimes.sagemaker.driver.call import AsyncCall
from runtimes.sagemaker.forms import BodyForm
from runtimes.sagemaker.options import SageMakerEndpoint


@dataclass(slots=True, kw_only=True)
class PreparedBody:
    """A task's request.

    Attributes:
        parameters: The request without its images.
        content: The request until it is written; links and images stand at its sites.
        body: Its JSON.
        call: The asynchronous call that runs it.
    """

    work: Work
    form: BodyForm
    deadlines: Deadlines
    parameters: dict[str, Any]
    content: dict[str, Any]
    sites: Sequence[InputSite]
    body: bytes = b""
    call: AsyncCall | None = None

    @property
    def content_type(self) -> str:
        """Of the body."""
        has_images = len(self.parameters) < len(self.content)
        return self.form.image_content_type if has_images else self.form.content_type

    def write(self, fetched: Mapping[str, Media]) -> None:
        """Put every image into the content in base64, and write the body."""
        encoded = {text: pybase64.b64encode_as_string(media.data) for text, media in fetched.items()}
        for site in self.sites:
            if (image := encoded.get(site.input.text)) is None:
                continue
            if (name := self.form.sent_as.get(str(site.key))) is None:
                site.replace(image)
            else:
                del site.container[site.key]
                site.container[name] = image
        self.body = utf8(self.content).encode("utf-8", "surrogatepass")
        self.content, self.sites = dict.fromkeys(self.content), ()  # or every image would be held twice


def body_of(task: Task, options: SageMakerEndpoint, form: BodyForm, deadlines: Deadlines) -> PreparedBody:
    """Read a task for an endpoint.

    Raises:
        InvalidTask: The endpoint's form has no such task type.
    """
    task_type = task.metadata.tasktype
    if task_type not in options.task_types:
        raise InvalidTask(f"Endpoint {options.endpoint} does not do {task_type}; it does {options.task_types}.")
    content = copy.deepcopy(task.content or {})
    fields = form.images | form.sent_as.keys()
    return PreparedBody(
        work=Work(task_type, 1),
        form=form,
        deadlines=deadlines.with_asked(task.metadata.deadlines),
        parameters={name: value for name, value in content.items() if name not in fields},
        content=content,
        sites=list(find_sites(content, fields)),
    )
