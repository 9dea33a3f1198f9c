"""A tenant's operations on its webhooks: get and rotate the secret, list deliveries, replay one."""

import time
from collections.abc import Callable

from courier.log import LoggedDelivery, read_log, switch_on
from courier.queue import DeliveryQueue
from courier.secrets import IssuedSecret, WebhookSecrets
from jobs.store import JobStore


class WebhookOperations:
    """Callers have checked that a job is the tenant's. Calls raise botocore's errors."""

    def __init__(
        self, *, jobs: JobStore, secrets: WebhookSecrets, queue: DeliveryQueue, clock: Callable[[], float] = time.time
    ) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._queue = queue
        self._clock = clock

    def secret(self, tenant: str | None) -> IssuedSecret:
        """The secret with which a tenant verifies its webhooks."""
        return self._secrets.current(tenant, self._clock())

    def rotate(self, tenant: str | None) -> IssuedSecret:
        """Give a tenant its next secret; for a day webhooks are signed with both.

        Raises:
            courier.secrets.RotationTooSoonError: The secret before the current one is still in use.
        """
        return self._secrets.rotate(tenant, self._clock())

    def deliveries(self, job: str) -> list[LoggedDelivery]:
        """A job's latest delivery of each kind of event within the last seven days, oldest first."""
        log = self._jobs.run(read_log(job, self._clock()))
        return sorted(log.rows.values(), key=lambda row: row.delivery.at_s)

    def replay(self, job: str, delivery_id: str) -> bool:
        """Send a job's delivery again now, with the same id, also one that was accepted.

        If it fails, the rest of the schedule follows. A webhook that 410 has switched off is on again.

        Returns:
            False if the log does not have the delivery, or if it is of progress, which is never repeated.
        """
        now_s = self._clock()
        row = self._jobs.run(read_log(job, now_s)).find(delivery_id)
        if row is None or not row.delivery.is_retried:
            return False
        self._jobs.run(switch_on(job))
        self._queue.put([row.delivery.again(now_s)], now_s)
        return True
