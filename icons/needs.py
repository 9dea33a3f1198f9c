"""Needs: what callers asked for and the library did not have, each an item of the jobs table.

The item makes sure that one job at a time draws for a need, remembers for how long not to try again, and counts how
often it was asked for. One write a call: the first one names the job, and every other one learns its id.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from contract import strict_json
from contract.notice import JobError
from icons.text import normalize
from jobs.dynamodb import Item, JobCommand, expressions, read_values
from jobs.schema import TTL_ATTRIBUTE, key_of

LISTED = "icons/needs"
"""Where needs are in the index of queues, so that the report finds them; no queue is called so."""
KEPT_S = 90 * 24 * 3600
"""How long a need is kept after it was asked for last."""
FILTERED_S = 24 * 3600
"""How long a need is not drawn again that the model's content filter refused."""
FAILED_S = 60
"""The same for a job that failed for any other reason."""
PREFIX = "icon/"
CONTENT_FILTERED = "content_filtered"
"""The error code of a job that the model's content filter refused."""
_ID_DIGITS = 32
_SEED_DIGITS = 8
_ANSWERS = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a caller needs.

    Attributes:
        tenant: Whose job draws it; tenants do not see each other's jobs, so each has needs of its own.
        query: What the icon is to show.
        style: As the caller words it.
        side: Of the picture, in pixels.
    """

    tenant: str
    query: str
    style: str
    side: int

    @property
    def id(self) -> str:
        """The same for all words that mean the same to the library."""
        parts = [self.tenant, normalize(self.style), self.side, normalize(self.query)]
        return hashlib.sha256(strict_json.dumps(parts).encode()).hexdigest()[:_ID_DIGITS]

    @property
    def seed(self) -> int:
        """Of its picture: the same words give every caller the same picture."""
        parts = [normalize(self.style), normalize(self.query)]
        return int(hashlib.sha256(strict_json.dumps(parts).encode()).hexdigest()[:_SEED_DIGITS], 16)

    @property
    def icon_key(self) -> str:
        """Key of the icon that is drawn for it."""
        return f"drawn-{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedRecord:
    """What the table has of a need.

    Attributes:
        need: What was asked for, in the words of the last caller.
        category: Of the icon that came nearest; "" if none did.
        asked: How often it was asked for.
        job: Draws it, or has drawn it; "" if its submission failed.
        begun_s: When that job was named, seconds since 1970.
        icon: Key of the icon that it led to.
        error: Why the job led to none.
        until_s: Until when it is not drawn again.
    """

    need: Need
    category: str
    asked: int
    job: str
    begun_s: float
    icon: str | None = None
    error: JobError | None = None
    until_s: float = 0

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Self:
        """Read an item's values."""
        code = values.get("error_code")
        return cls(
            need=Need(tenant=values["need_of"], query=values["query"], style=values["style"], side=int(values["side"])),
            category=values["category"],
            asked=int(values["asked"]),
            job=values.get("job", ""),
            begun_s=values.get("begun_at", 0),
            icon=values.get("icon"),
            error=None if code is None else JobError(code=code, message=values.get("error_message", "")),
            until_s=values.get("until", 0),
        )


def ask(need: Need, job: str, now_s: float, *, near: str = "") -> JobCommand[NeedRecord]:
    """Ask for a need: ``job`` draws it, unless the record names another.

    A need that is being drawn is not counted again, or callers that ask until it is there would be many. ``near`` is
    the category of the icon that came nearest.
    """
    words = "#query = :query, #style = :style, #side = :side, #need_of = :tenant, #category = :near"
    counted = "#asked = if_not_exists(#asked, :zero) + :one"
    named = "#job = if_not_exists(#job, :job), #begun_at = if_not_exists(#begun_at, :now)"
    texts = {
        "UpdateExpression": f"SET {words}, {counted}, {named}, #queue = :queue, #{TTL_ATTRIBUTE} = :ttl",
        "ConditionExpression": "attribute_not_exists(#job) OR attribute_exists(#icon) OR attribute_exists(#error_code)",
    }
    # Not under the attribute of the index of a tenant's jobs.
    values: dict[str, Any] = {"tenant": need.tenant, "query": need.query, "style": need.style, "side": need.side}
    values |= {"near": near, "zero": 0, "one": 1, "job": job, "now": now_s}
    values |= {"queue": LISTED, "ttl": int(now_s) + KEPT_S}
    return JobCommand(
        operation="UpdateItem",
        parameters={"Key": _key(need), **expressions(texts, **values), **_ANSWERS},
        read=lambda answer: NeedRecord.of_values(read_values(answer["Attributes"])),
        read_refused=lambda item: NeedRecord.of_values(read_values(item or {})),
    )


def draw_again(need: Need, seen: NeedRecord, job: str, now_s: float) -> JobCommand[NeedRecord | None]:
    """Let another job draw a need; if somebody else was faster, the record names theirs. None if the need is gone."""
    update = "SET #job = :job, #begun_at = :now REMOVE #icon, #error_code, #error_message, #until"
    return _change(need, update, seen.job, job=job, now=now_s)


def drawn(need: Need, job: str, icon: str) -> JobCommand[NeedRecord | None]:
    """Record the icon that a job led to; refused where another job is named."""
    return _change(need, "SET #icon = :icon REMOVE #error_code, #error_message, #until", job, icon=icon)


def refused(need: Need, job: str, error: JobError, now_s: float) -> JobCommand[NeedRecord | None]:
    """Record why a job led to no icon, so that it is not drawn again for a while."""
    update = "SET #error_code = :code, #error_message = :message, #until = :until"
    until_s = now_s + (FILTERED_S if error.code == CONTENT_FILTERED else FAILED_S)
    return _change(need, update, job, code=error.code, message=error.message[:1000], until=until_s)


def not_submitted(need: Need, job: str) -> JobCommand[NeedRecord | None]:
    """Forget a job that could not be submitted, so that the next request names another."""
    return _change(need, "REMOVE #job, #begun_at", job)


def _change(need: Need, update: str, seen_job: str, **values: Any) -> JobCommand[NeedRecord | None]:
    texts = {"UpdateExpression": update, "ConditionExpression": "#job = :seen"}

    def read(item: Item | None) -> NeedRecord | None:
        return NeedRecord.of_values(read_values(item)) if item else None

    return JobCommand(
        operation="UpdateItem",
        parameters={
            "Key": _key(need),
            **expressions(texts, seen=seen_job, **values),
            **_ANSWERS,
        },
        read=lambda answer: read(answer["Attributes"]),
        read_refused=read,
    )


def _key(need: Need) -> Mapping[str, Any]:
    return key_of(PREFIX + need.id)
