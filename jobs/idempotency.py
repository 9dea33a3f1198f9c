"""Idempotency-Keys: each stands for the one request that a caller sent with it, for a day."""

from dataclasses import dataclass
from typing import Any

from jobs.calls import get_item
from jobs.dynamodb import Item, JobCommand, Parameters, expressions, read_values, write_item
from jobs.schema import KEY, TTL_ATTRIBUTE, idempotency_pk

IDEMPOTENCY_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class KeyUse:
    """What a caller's Idempotency-Key stands for: a job, and the request that made it."""

    job: str
    body_sha256: str


def key_put(tenant: str | None, key: str, job: str, body_sha256: str, now_s: float) -> Parameters:
    """The put of a key, for the transaction that enters its job; refused if the key is in use."""
    values: dict[str, Any] = {
        KEY: idempotency_pk(tenant, key),
        "job": job,
        "body_sha256": body_sha256,
        TTL_ATTRIBUTE: int(now_s) + IDEMPOTENCY_S,
    }
    # An item may outlive its TTL by days.
    condition = f"attribute_not_exists(#pk) OR #{TTL_ATTRIBUTE} < :now"
    return {"Item": write_item(values), **expressions({"ConditionExpression": condition}, now=now_s)}


def key_use(tenant: str | None, key: str, now_s: float) -> JobCommand[KeyUse | None]:
    """What a caller's Idempotency-Key stands for; None for nothing, or nothing any more."""

    def read(item: Item | None) -> KeyUse | None:
        values = read_values(item or {})
        is_valid = bool(values) and values[TTL_ATTRIBUTE] >= now_s
        return KeyUse(values["job"], values["body_sha256"]) if is_valid else None

    return get_item(idempotency_pk(tenant, key), read)
