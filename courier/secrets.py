"""The secrets that sign a tenant's webhooks. They are derived from the root secret; the table holds their versions."""

from dataclasses import dataclass

from contract.signatures import webhook_secret
from jobs.calls import get_item
from jobs.dynamodb import Item, JobCommand, expressions, read_values
from jobs.schema import key_of
from jobs.store import JobStore

OVERLAP_S = 24 * 3600
"""For this long after a rotation, webhooks are also signed with the previous secret."""
_FIRST = 1


class RotationTooSoonError(Exception):
    """The last rotation is less than OVERLAP_S ago, so the previous secret is still in use.

    Attributes:
        possible_s: When the next rotation is possible, seconds since 1970.
    """

    def __init__(self, possible_s: float) -> None:
        super().__init__("The secret was rotated less than a day ago; receivers may still use the previous one.")
        self.possible_s = possible_s


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """Which secret of a tenant is current, and when it became so; None for the first."""

    number: int
    since_s: float | None

    def overlap_end_s(self) -> float:
        """When webhooks stop being signed with the previous secret; 0 for the first secret."""
        return 0 if self.since_s is None else self.since_s + OVERLAP_S


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedSecret:
    """A tenant's current secret.

    Attributes:
        secret: ``whsec_`` followed by base64.
        previous_until_s: Until then, webhooks are also signed with the previous secret; None if they are not.
    """

    secret: str
    version: int
    previous_until_s: float | None


class WebhookSecrets:
    """Derives secrets from the root secret. Calls raise botocore's errors."""

    def __init__(self, *, jobs: JobStore, root: str) -> None:
        self._jobs = jobs
        self._root = root

    def signing(self, tenant: str | None, now_s: float) -> list[str]:
        """Return the secrets to sign with: the current one, and for OVERLAP_S after a rotation the previous one.

        A receiver may use either of them.
        """
        version = self._jobs.run(_read(tenant))
        numbers = [version.number, *([version.number - 1] if now_s < version.overlap_end_s() else [])]
        return [webhook_secret(self._root, tenant, number) for number in numbers]

    def current(self, tenant: str | None, now_s: float) -> IssuedSecret:
        """Return a tenant's current secret."""
        return self._issued(tenant, self._jobs.run(_read(tenant)), now_s)

    def rotate(self, tenant: str | None, now_s: float) -> IssuedSecret:
        """Replace a tenant's secret; raises RotationTooSoonError if the previous one is still in use."""
        version = self._jobs.run(_rotate(tenant, now_s))
        if version.since_s != round(now_s, 3):
            raise RotationTooSoonError(version.overlap_end_s())
        return self._issued(tenant, version, now_s)

    def _issued(self, tenant: str | None, version: SecretVersion, now_s: float) -> IssuedSecret:
        until_s = version.overlap_end_s()
        return IssuedSecret(
            secret=webhook_secret(self._root, tenant, version.number),
            version=version.number,
            previous_until_s=until_s if now_s < until_s else None,
        )


def _pk(tenant: str | None) -> str:
    return f"webhook/{tenant or ''}"


def _read(tenant: str | None) -> JobCommand[SecretVersion]:
    return get_item(_pk(tenant), _version)


def _rotate(tenant: str | None, now_s: float) -> JobCommand[SecretVersion]:
    """Increment the version. Returns the current version, also if the rotation was refused."""
    texts = {
        "UpdateExpression": "SET #version = if_not_exists(#version, :first) + :one, #rotated_at = :now",
        "ConditionExpression": "attribute_not_exists(#rotated_at) OR #rotated_at <= :before",
    }
    values = {"first": _FIRST, "one": 1, "now": float(now_s), "before": float(now_s) - OVERLAP_S}
    answers = {"ReturnValues": "ALL_NEW", "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    return JobCommand(
        operation="UpdateItem",
        parameters={"Key": key_of(_pk(tenant)), **expressions(texts, **values), **answers},
        read=lambda answer: _version(answer.get("Attributes")),
        read_refused=_version,
    )


def _version(item: Item | None) -> SecretVersion:
    values = read_values(item or {})
    return SecretVersion(int(values.get("version", _FIRST)), values.get("rotated_at"))
