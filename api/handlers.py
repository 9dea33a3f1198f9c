"""Lambda's composition root: clients are created once, when the function loads, and stay warm."""
# ruff: noqa: E402

import gc

# While modules load, the collector finds nothing to free, but takes a fifth of a cold start.
gc.disable()

import logging
import os
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config

from api.door import Door
from api.operations import Operations
from api.publisher import TaskPublisher
from jobs.store import JobStore
from runtimes.catalog import RuntimeCatalog
from runtimes.spec import load

_RETRIES = {"mode": "standard", "total_max_attempts": 3}
_BUNDLED_RUNTIMES = Path(__file__).parent.parent / "runtimes.json"


def _make_door() -> Door:
    logging.getLogger("api").setLevel(logging.INFO)
    runtimes = Path(os.environ.get("RUNTIMES_FILE") or _BUNDLED_RUNTIMES)
    bucket = _required("OUTPUT_BUCKET")
    session = botocore.session.get_session()
    config = Config(connect_timeout=3, read_timeout=8, retries=_RETRIES)
    table_config = Config(connect_timeout=1, read_timeout=2, retries=_RETRIES)
    publisher = TaskPublisher(
        sns=session.create_client("sns", config=config),
        make_s3=lambda: session.create_client("s3", config=config),
        topic_arn=_required("TASK_TOPIC_ARN"),
        bucket=bucket,
    )
    jobs = JobStore(session.create_client("dynamodb", config=table_config), _required("JOBS_TABLE"))
    catalog = RuntimeCatalog.from_json(runtimes.read_text(encoding="utf-8"))
    for runtime in catalog:
        for checks in filter(None, (runtime.runtime_type.checks, runtime.runtime_type.warnings)):
            load(checks)  # while the function loads, its processor is at its fastest
    return Door(catalog=catalog, operations=Operations(jobs=jobs, publisher=publisher), bucket=bucket)


def _required(variable: str) -> str:
    if not (value := os.environ.get(variable)):
        raise RuntimeError(f"{variable} is not set; the front door needs it.")
    return value


_door = _make_door()
gc.freeze()
gc.enable()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001
    """Answer one request of API Gateway (Lambda proxy integration)."""
    return _door.handle(event)
