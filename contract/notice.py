"""The completion notice, which subscribers of the notice topic receive for tasks of every API version."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contract import strict_json
from contract.task import RUNTIME_ATTRIBUTE

MAX_NOTICE_BYTES = 200 * 1024
"""A larger notice loses its image_url list; the manifest at output_url has the whole list."""

MAX_ERROR_BYTES = 2048
"""Of an error's message in the notice and in the job's item; the manifest has all of it."""

RESULT_ATTRIBUTE = "result"
"""SNS message attribute beside ``runtime``: "true" or "false", for subscribers that filter."""
WEBHOOK_ATTRIBUTE = "webhook"
"""SNS message attribute that notices have whose job has a webhook: "true"."""
TENANT_ATTRIBUTE = "tenant"
"""SNS message attribute with the id of the API key that submitted the task; missing if there was none."""

Status = Literal["succeeded", "failed", "cancelled"]


def _cut(text: str) -> str:
    """The beginning of a text that fits into MAX_ERROR_BYTES of UTF-8."""
    data = text.encode("utf-8", "replace")
    if len(data) <= MAX_ERROR_BYTES:
        return data.decode()
    return data[: MAX_ERROR_BYTES - len("…".encode())].decode(errors="ignore") + "…"


class JobError(BaseModel):
    """Why a task failed."""

    model_config = ConfigDict(frozen=True)

    code: str
    """One word for programs; docs/api.md lists them."""
    message: Annotated[str, AfterValidator(_cut)]
    """A sentence for people, in the model server's own words if there are any; cut to MAX_ERROR_BYTES."""


class Notice(BaseModel):
    """Says that a job has ended. Notices are delivered at least once: receivers dedupe by ``job``."""

    model_config = ConfigDict(frozen=True)

    id: str | None
    """The task's id; None if not even the id of a message could be read."""
    result: bool
    image_url: list[str]
    """s3:// links of the pictures, in order; empty on failure."""
    output_url: str | None
    """s3:// link of the manifest; None if nothing could be stored."""
    context: Any
    job: str
    runtime: str
    status: Status
    error: JobError | None = None
    tenant: Annotated[str | None, Field(exclude=True)] = None
    """The API key's id, for subscribers that filter; None if no key submitted the task."""

    has_webhook: Annotated[bool, Field(exclude=True)] = False
    """Whether the job has a webhook, for the courier's subscription."""

    def to_message(self) -> str:
        """Write the notice as the body of an SNS message, cut to MAX_NOTICE_BYTES."""
        body = self.model_dump(mode="json")
        if self.error is None:
            del body["error"]
        message = strict_json.dumps(body)
        if len(message) > MAX_NOTICE_BYTES:
            message = strict_json.dumps(body | {"image_url": []})
        return message

    def publication(self, topic_arn: str) -> dict[str, Any]:
        """Parameters of SNS's Publish."""
        attributes = {RUNTIME_ATTRIBUTE: self.runtime, RESULT_ATTRIBUTE: str(self.result).lower()}
        if self.tenant is not None and self.tenant.isprintable():  # SNS rejects control characters
            attributes[TENANT_ATTRIBUTE] = self.tenant
        if self.has_webhook:
            attributes[WEBHOOK_ATTRIBUTE] = "true"
        return {
            "TopicArn": topic_arn,
            "Message": self.to_message(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        }


def notice_of_unreadable(*, task_id: str, context: Any, job: str, runtime: str, problem: JobError) -> Notice:
    """The notice of a message that is not a task: nothing was done or stored."""
    return Notice(
        id=task_id,
        result=False,
        image_url=[],
        output_url=None,
        context=context,
        job=job,
        runtime=runtime,
        status="failed",
        error=problem,
    )
