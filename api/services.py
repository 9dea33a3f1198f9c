"""The API's AWS clients and the operations that use them, made once from the environment.

Operations that a submission does not need are imported by the first request for them: together they take a tenth of a
cold start.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
from botocore.config import Config

from api.live import LiveCatalogs
from api.operations.submission import Submissions
from api.publisher import TaskPublisher
from contract.field_errors import FieldError
from contract.webhooks import url_problems
from jobs.notifier import JobNotifier
from jobs.store import JobStore
from runtimes.catalog import RuntimeCatalog

if TYPE_CHECKING:
    from api.operations.batches import Batches
    from api.operations.files import Files
    from api.operations.generation import Generations
    from api.operations.history import History
    from api.operations.icons import IconService
    from api.operations.models import ModelNames
    from api.operations.outputs import Outputs
    from api.operations.pictures import Pictures
    from api.operations.queues import QueueEstimates
    from api.operations.usage import UsageSums
    from api.operations.workflows import Workflows
    from courier.operations import WebhookOperations

_RETRIES = {"mode": "standard", "total_max_attempts": 3}
_BUNDLED_RUNTIMES = Path(__file__).parent.parent / "runtimes.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSettings:
    """The API's environment."""

    task_topic_arn: str
    output_bucket: str
    jobs_table: str
    notice_topic_arn: str = ""
    api_keys: str = ""
    """JSON that says what each API key may do, by its id; see ``api.http.Caller``."""
    keep_requests: str = "true"
    cors_origins: str = ""
    """Web origins that may call the API, with spaces between them; * for every one."""
    signing_secret: str = field(default="", repr=False)
    """The root secret, from which those that sign links and webhooks are derived."""
    signing_secret_arn: str = ""
    """Where Secrets Manager has it, unless it is given."""

    courier_queue_url: str = ""
    """Of webhooks; without it there are none."""
    sends_files: str = "false"
    """Whether callers cannot reach the output bucket, so that the API sends and takes files itself."""
    allow_private_addresses: str = "false"
    """Whether webhooks may use http and reach any address."""
    icons: str = ""
    """JSON that says what the icon library is made of; see ``icons.settings``. Without it there is none."""

    @property
    def keys(self) -> dict[str, dict[str, Any]]:
        """What each key of the configuration may do, by its id."""
        found: dict[str, dict[str, Any]] = json.loads(self.api_keys or "{}")
        return found

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "ApiSettings":
        """Read the environment; raises RuntimeError if a variable is missing."""
        given = {name: environment.get(name.upper(), "") for name in cls.__slots__}
        for name in ("task_topic_arn", "output_bucket", "jobs_table"):
            if not given[name]:
                raise RuntimeError(f"{name.upper()} is not set; the front door needs it.")
        return cls(**{name: value for name, value in given.items() if value})


class Services:
    """Everything that faces call. Clients that few requests need are made when the first one needs them."""

    def __init__(self, settings: ApiSettings, catalog: RuntimeCatalog) -> None:
        self.settings = settings
        live = LiveCatalogs(lambda: self._client("s3", connect_timeout=1, read_timeout=2), settings.output_bucket)
        self.catalog = catalog.with_live(live.read)
        self.bucket = settings.output_bucket
        self._session = botocore.session.get_session()
        dynamodb = self._client("dynamodb", connect_timeout=1, read_timeout=2)
        self.jobs = JobStore(dynamodb, settings.jobs_table)
        self._sns = self._client("sns")
        publisher = TaskPublisher(
            sns=self._sns, make_s3=lambda: self.s3, topic_arn=settings.task_topic_arn, bucket=self.bucket
        )
        self._making_icons = threading.Lock()
        keeps = settings.keep_requests == "true"
        self.submissions = Submissions(jobs=self.jobs, publisher=publisher, keep_requests=keeps)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Services":
        """Make them as the environment and the file of runtimes say."""
        runtimes = Path(environment.get("RUNTIMES_FILE") or _BUNDLED_RUNTIMES)
        catalog = RuntimeCatalog.from_json(runtimes.read_text(encoding="utf-8"))
        return cls(ApiSettings.from_environment(environment), catalog)

    @cached_property
    def s3(self) -> Any:
        """S3's client. It signs links by version 4 for the region's own host: KMS and newer regions take no others."""
        config = Config(
            connect_timeout=3,
            read_timeout=8,
            retries=_RETRIES,
            signature_version="s3v4",
            s3={"us_east_1_regional_endpoint": "regional"},
        )
        return self._session.create_client("s3", config=config)

    @cached_property
    def history(self) -> "History":
        """What became of jobs."""
        from api.operations.history import History

        notifier = JobNotifier(
            sns=self._sns, topic_arn=self.settings.notice_topic_arn, jobs=self.jobs, bucket=self.bucket
        )
        return History(jobs=self.jobs, notifier=notifier, make_s3=lambda: self.s3, bucket=self.bucket)

    @cached_property
    def queues(self) -> "QueueEstimates":
        """How busy the runtimes are."""
        from api.operations.queues import QueueEstimates

        return QueueEstimates(self.jobs, self.catalog)

    @cached_property
    def signing_secret(self) -> str:
        """The root secret; raises botocore's errors if Secrets Manager does not return it."""
        if given := self.settings.signing_secret:
            return given
        if not (arn := self.settings.signing_secret_arn):
            raise RuntimeError("Neither SIGNING_SECRET nor SIGNING_SECRET_ARN is set; links cannot be signed.")
        return str(self._client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"])

    @cached_property
    def outputs(self) -> "Outputs":
        """The files of jobs."""
        from api.operations.outputs import Outputs

        return Outputs(
            make_s3=lambda: self.s3,
            bucket=self.bucket,
            root=lambda: self.signing_secret,
            sends_files=self.settings.sends_files == "true",
        )

    @cached_property
    def pictures(self) -> "Pictures":
        """Pictures by their parameters."""
        from api.operations.pictures import Pictures

        return Pictures(self.jobs, self.catalog)

    @cached_property
    def files(self) -> "Files":
        """The files that callers send."""
        from api.operations.files import Files

        return Files(
            make_s3=lambda: self.s3,
            bucket=self.bucket,
            root=lambda: self.signing_secret,
            takes_uploads=self.settings.sends_files == "true",
        )

    @cached_property
    def batches(self) -> "Batches":
        """The jobs that were submitted together."""
        from api.operations.batches import Batches

        return Batches(self.jobs)

    @cached_property
    def usage(self) -> "UsageSums":
        """What jobs used."""
        from api.operations.usage import UsageSums

        return UsageSums(self.history)

    @cached_property
    def workflows(self) -> "Workflows":
        """The workflows that callers have named."""
        from api.operations.workflows import Workflows

        return Workflows(make_s3=lambda: self.s3, bucket=self.bucket)

    @cached_property
    def models(self) -> "ModelNames":
        """The models of dialects."""
        from api.operations.models import ModelNames

        return ModelNames(self.catalog, lambda: self.workflows)

    @cached_property
    def generations(self) -> "Generations":
        """Jobs asked for in the words of other APIs."""
        from api.operations.generation import Generations

        return Generations(catalog=self.catalog, submissions=self.submissions, workflows=self.workflows, jobs=self.jobs)

    @cached_property
    def webhooks(self) -> "WebhookOperations | None":
        """Tenants' operations on their webhooks; None if webhooks are switched off."""
        if not (url := self.settings.courier_queue_url):
            return None
        from courier.operations import WebhookOperations
        from courier.queue import DeliveryQueue
        from courier.secrets import WebhookSecrets

        secrets = WebhookSecrets(jobs=self.jobs, root=self.signing_secret)
        queue = DeliveryQueue(sqs=self._client("sqs"), url=url, dead_url="")
        return WebhookOperations(jobs=self.jobs, secrets=secrets, queue=queue)

    @property
    def icons(self) -> "IconService | None":
        """The icon library; None if there is none. Its models are loaded once, by the first request for it."""
        with self._making_icons:
            return self._icons

    @cached_property
    def _icons(self) -> "IconService | None":
        if not (settings := self.settings.icons):
            return None
        from api.operations.icons import IconService
        from icons.settings import IconSettings

        return IconService(
            IconSettings.model_validate_json(settings),
            jobs=self.jobs,
            submissions=self.submissions,
            catalog=self.catalog,
            outputs=self.outputs,
            make_client=self._client,
            s3=self.s3,
        )

    def webhook_errors(self, url: str) -> list[FieldError]:
        """Return the errors of a job's webhook URL."""
        if not self.settings.courier_queue_url:
            return [FieldError("webhook", "cannot be had: webhooks are switched off here")]
        problems = url_problems(url, allow_private=self.settings.allow_private_addresses == "true")
        return [FieldError("webhook.url", problem) for problem in problems]

    def _client(
        self, name: str, *, connect_timeout: float = 3, read_timeout: float = 8, config: Config | None = None
    ) -> Any:
        config = config or Config(connect_timeout=connect_timeout, read_timeout=read_timeout, retries=_RETRIES)
        return self._session.create_client(name, config=config)
