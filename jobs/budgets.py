"""How many jobs a tenant may submit in a day, and how many may wait: counted so that no two requests take the last."""

from jobs.calls import conditional
from jobs.dynamodb import JobCommand, expressions
from jobs.job import JobChange
from jobs.schema import RETENTION_S, TTL_ATTRIBUTE, WAITING, budget_pk, key_of

_DAY_S = 24 * 3600


def count_job(tenant: str, day: str, most: int, now_s: float) -> JobCommand[JobChange]:
    """Count a tenant's job on a day, such as 2026-01-31; refused if the tenant has reached its limit."""
    texts = {
        "UpdateExpression": f"SET #jobs = if_not_exists(#jobs, :zero) + :one, #{TTL_ATTRIBUTE} = :ttl",
        "ConditionExpression": "attribute_not_exists(#jobs) OR #jobs < :most",
    }
    values = {"zero": 0, "one": 1, "most": most, "ttl": int(now_s) + 2 * _DAY_S}
    return conditional("UpdateItem", {"Key": key_of(budget_pk(tenant, day)), **expressions(texts, **values)})


def count_waiting(tenant: str, most: int, now_s: float) -> JobCommand[JobChange]:
    """Count a job that will wait; refused where as many are counted as may. The count is never too low."""
    texts = {
        "UpdateExpression": "SET #jobs = if_not_exists(#jobs, :zero) + :one, #counted_at = :now, "
        f"#{TTL_ATTRIBUTE} = :ttl",
        "ConditionExpression": "attribute_not_exists(#jobs) OR #jobs < :most",
    }
    values = {"zero": 0, "one": 1, "most": most, "now": now_s, "ttl": int(now_s) + RETENTION_S}
    return conditional("UpdateItem", {"Key": key_of(budget_pk(tenant, WAITING)), **expressions(texts, **values)})


def correct_waiting(tenant: str, waiting: int, before_s: float) -> JobCommand[JobChange]:
    """Correct the count of a tenant's waiting jobs; refused where one was counted after a time."""
    texts = {"UpdateExpression": "SET #jobs = :waiting", "ConditionExpression": "#counted_at < :before"}
    values = {"waiting": waiting, "before": before_s}
    return conditional("UpdateItem", {"Key": key_of(budget_pk(tenant, WAITING)), **expressions(texts, **values)})
