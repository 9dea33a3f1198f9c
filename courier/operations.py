"""A tenant's operations on its webhooks: get and rotate the secret, list deliveries, replay one."""

import time
from collections.abc import Callable

from courier.log import LoggedDelivery, read_log, switch_on
from courier.queue import DeliveryQueue
from courier.secrets import IssuedSecret, WebhookSecrets
from jobs.store import JobStore


class WebhookOperations:
    """Callers must check first that a job is the tenant's. Calls raise botocore's errors."""

    def __init__(
        self, *, jobs: JobStore, secrets: WebhookSecrets, queue: DeliveryQueue, clock: Callable[[], float] = time.time
    ) -> None:
        self._jobs = jobs
        self._secrets = secrets
        self._queue = queue
        self._clock = clock

    def secret(self, tenant: str | None) -> IssuedSecret:
        """Return the secret that signs a tenant's webhooks."""
        return self._secrets.current(tenant, self._clock())

    def rotate(self, tenant: str | None) -> IssuedSecret:
        """Replace a tenant's secret with a new one. For a day, webhooks are signed with both.

        Raises:
            courier.secrets.RotationTooSoonError: The previous secret is still in use.
        """
        return self._secrets.rotate(tenant, self._clock())

    def deliveries(self, job: str) -> list[LoggedDelivery]:
        """Return a job's latest delivery for each event type in the last seven days, oldest first."""
        log = self._jobs.run(read_log(job, self._clock()))
        return sorted(log.rows.values(), key=lambda row: row.delivery.at_s)

    def replay(self, job: str, delivery_id: str) -> bool:
        """Send a job's delivery again now, with the same id, even if the receiver accepted it before.

        If it fails, the rest of the schedule follows. This also resumes a webhook that a 410 has stopped.

        Returns:
            False if the delivery is not in the log, or if it is progress, which is never repeated.
        """
        now_s = self._clock()
        row = self._jobs.run(read_log(job, now_s)).find(delivery_id)
        if row is None or not row.delivery.is_retried:
            return False
        self._jobs.run(switch_on(job))
        self._queue.put([row.delivery.again(now_s)], now_s)
        return True
