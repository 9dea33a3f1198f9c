"""A task as it travels: the SNS message's body, and what may stand in it."""

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from contract import strict_json
from contract.deadlines import AskedDeadlines
from contract.ids import JOB_ID_PATTERN
from contract.models import Form

SCHEMA = 1
"""Version of the wire format this code writes and the highest it reads."""

RUNTIME_ATTRIBUTE = "runtime"
CHECKPOINT_ATTRIBUTE = "sd_model_checkpoint"
"""Names of the SNS message attributes that route a task; see configuration.routing."""

DEFAULT_PREFIX = "output"
MAX_CONTENT_BYTES = 200 * 1024
"""Content above this goes to S3: SNS takes 256 KiB, and metadata and context need room."""
MAX_CONTEXT_BYTES = 16 * 1024

_SEGMENT = r"[A-Za-z0-9!_.*'()-]+"
_ID = re.compile(_SEGMENT)
_PREFIX = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_ALLOWED = "letters, digits and ! - _ . * ' ( )"
MAX_ID_LENGTH = 128
MAX_PREFIX_LENGTH = 512


def _check_id(value: str) -> str:
    if not _ID.fullmatch(value):
        raise ValueError(f"may hold only {_ALLOWED}")
    if ".." in value or value == ".":
        raise ValueError("must not be a relative path")
    return value


def _check_prefix(value: str) -> str:
    value = value.removesuffix("/")
    if value.startswith("/"):
        raise ValueError("must not begin with a slash")
    if value.startswith("_"):
        raise ValueError("must not begin with an underscore: those prefixes are reserved")
    if not _PREFIX.fullmatch(value):
        raise ValueError(f"may hold only {_ALLOWED}, in parts separated by single slashes")
    if ".." in value or "." in value.split("/"):
        raise ValueError("must not be a relative path")
    return value


def _check_context(value: Any) -> Any:
    size = strict_json.utf8_size(value)
    if size > MAX_CONTEXT_BYTES:
        raise ValueError(f"is {size} bytes of JSON; at most {MAX_CONTEXT_BYTES} are allowed")
    return value


TaskId = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_check_id)]
Prefix = Annotated[str, Field(min_length=1, max_length=MAX_PREFIX_LENGTH), AfterValidator(_check_prefix)]


class Metadata(BaseModel):
    """What the platform itself reads of a task. Unknown keys are ignored: a later producer may send more."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: TaskId
    """The caller's name for the task; part of the S3 key."""
    runtime: Annotated[str, Field(min_length=1, max_length=256)]
    """The runtime in config.yaml; "legacy" from a foreign producer that routes by checkpoint."""
    tasktype: Annotated[str, Field(min_length=1, max_length=64)]
    prefix: Prefix = DEFAULT_PREFIX
    """First part of the S3 key of every result."""
    context: Annotated[Any, AfterValidator(_check_context)] = None
    """Any JSON; comes back in the notice as it went in."""
    deadlines: AskedDeadlines | None = None
    """Deadlines of its own, within the runtime's limits."""
    schema_version: Annotated[int, Field(alias="schema", ge=1)] = SCHEMA
    job: Annotated[str, Form(JOB_ID_PATTERN, "a UUID")] | None = None
    """The platform's name for this submission; None in a foreign message."""
    tenant: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    submitted_at: AwareDatetime | None = None


class Task(BaseModel):
    """A task: metadata, and either its content or a link to it in the output bucket."""

    model_config = ConfigDict(frozen=True)

    metadata: Metadata
    content: dict[str, Any] | None = None
    """The model server's own request, as its users know it."""
    content_url: Annotated[str, Field(max_length=2048)] | None = None

    @model_validator(mode="after")
    def _has_one_content(self) -> Self:
        if (self.content is None) == (self.content_url is None):
            raise ValueError("must have either content or content_url")
        return self

    def to_message(self) -> str:
        """Write the task as the body of an SNS message."""
        metadata = self.metadata.model_dump(mode="json", by_alias=True)
        body: dict[str, Any] = {"metadata": {key: value for key, value in metadata.items() if value is not None}}
        if self.content_url is None:
            body["content"] = self.content
        else:
            body["content_url"] = self.content_url
        return strict_json.dumps(body)

    def publication(self, topic_arn: str) -> dict[str, Any]:
        """What SNS's Publish is asked with; the tenant's tasks are a group of their own, for fair queues."""
        tenant = self.metadata.tenant
        return {
            "TopicArn": topic_arn,
            "Message": self.to_message(),
            "MessageAttributes": {RUNTIME_ATTRIBUTE: {"DataType": "String", "StringValue": self.metadata.runtime}},
            **({"MessageGroupId": tenant} if tenant else {}),
        }
