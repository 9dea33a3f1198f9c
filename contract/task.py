"""A task as it travels: the body of the SNS message, and what it may contain."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from contract import strict_json
from contract.deadlines import AskedDeadlines
from contract.ids import JOB_ID_PATTERN
from contract.models import Form
from contract.queues import Priority

SCHEMA = 1
"""Version of the wire format that this code writes, and the highest that it reads."""

RUNTIME_ATTRIBUTE = "runtime"
CHECKPOINT_ATTRIBUTE = "sd_model_checkpoint"
PRIORITY_ATTRIBUTE = "priority"
"""SNS message attributes that route a task; see configuration.routing."""

DEFAULT_PREFIX = "output"
MAX_CONTENT_BYTES = 200 * 1024
"""Larger content goes to S3: SNS accepts 256 KiB, and metadata and context need room."""
MAX_CONTEXT_BYTES = 16 * 1024

_SEGMENT = r"[A-Za-z0-9!_.*'()-]+"
_ID = re.compile(_SEGMENT)
_PREFIX = re.compile(rf"{_SEGMENT}(/{_SEGMENT})*")
_ID_SCHEMA: Any = {"pattern": rf"^(?!\.$)(?!.*\.\.){_SEGMENT}$"}
_PREFIX_SCHEMA: Any = {"pattern": rf"^(?!_)(?!.*\.\.)(?!(.*/)?\.(/|$)){_SEGMENT}(/{_SEGMENT})*/?$"}
"""What the checks below allow, for documents."""
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


def _known_priority(value: Any) -> Any:
    """Other producers may have another use for the key, or know more priorities."""
    return value if value in tuple(Priority) else Priority.NORMAL


TaskId = Annotated[
    str, Field(min_length=1, max_length=MAX_ID_LENGTH, json_schema_extra=_ID_SCHEMA), AfterValidator(_check_id)
]
Prefix = Annotated[
    str,
    Field(min_length=1, max_length=MAX_PREFIX_LENGTH, json_schema_extra=_PREFIX_SCHEMA),
    AfterValidator(_check_prefix),
]


class Metadata(BaseModel):
    """The part of a task that the platform itself reads. Unknown keys are ignored: a later producer may send more."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    id: TaskId
    """The caller's name for the task, and part of its S3 keys."""
    runtime: Annotated[str, Field(min_length=1, max_length=256)]
    """A runtime of config.yaml; a producer that routes by checkpoint may use another name, such as "legacy"."""
    tasktype: Annotated[str, Field(min_length=1, max_length=64)]
    prefix: Prefix = DEFAULT_PREFIX
    """First part of the S3 key of every result."""
    context: Annotated[Any, AfterValidator(_check_context)] = None
    """Any JSON; the notice returns it unchanged."""
    deadlines: AskedDeadlines | None = None
    """The task's own deadlines, within the runtime's limits."""
    keep: tuple[Literal["preview"], ...] | None = None
    """What the agent stores besides the results: previews while the job runs."""
    priority: Annotated[Priority, BeforeValidator(_known_priority)] = Priority.NORMAL
    """Which of the runtime's queues has it, where the runtime has several; only what is not normal is written."""
    schema_version: Annotated[int, Field(alias="schema", ge=1)] = SCHEMA
    job: Annotated[str, Form(JOB_ID_PATTERN, "a UUID")] | None = None
    """The platform's id for this submission; None in a message from another producer."""
    tenant: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    submitted_at: AwareDatetime | None = None


class Task(BaseModel):
    """A task: metadata, and either its content or a link to the content in the output bucket."""

    model_config = ConfigDict(frozen=True)

    metadata: Metadata
    content: dict[str, Any] | None = None
    """The model server's own request."""
    content_url: Annotated[str, Field(max_length=2048)] | None = None

    @model_validator(mode="after")
    def _has_one_content(self) -> Self:
        if (self.content is None) == (self.content_url is None):
            raise ValueError("must have either content or content_url")
        return self

    def to_message(self) -> str:
        """Write the task as the body of an SNS message."""
        usual = {"priority"} if self.metadata.priority is Priority.NORMAL else None
        metadata = self.metadata.model_dump(mode="json", by_alias=True, exclude=usual)
        body: dict[str, Any] = {"metadata": {key: value for key, value in metadata.items() if value is not None}}
        if self.content_url is None:
            body["content"] = self.content
        else:
            body["content_url"] = self.content_url
        return strict_json.dumps(body)

    def publication(self, topic_arn: str) -> dict[str, Any]:
        """Parameters of SNS's Publish; each tenant has a message group of its own, for fair queues."""
        tenant, attributes = self.metadata.tenant, {RUNTIME_ATTRIBUTE: self.metadata.runtime}
        if self.metadata.priority is not Priority.NORMAL:
            attributes[PRIORITY_ATTRIBUTE] = self.metadata.priority.value
        return {
            "TopicArn": topic_arn,
            "Message": self.to_message(),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
            **({"MessageGroupId": tenant} if tenant else {}),
        }
