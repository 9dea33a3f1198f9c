"""What managed runtimes alone cost in a month, without a cluster: ``python -m docs.managed_costs --per-day 10000``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from configuration.config import Config
from configuration.file import load_config
from docs import tables
from docs.costs import table
from planning.bill import Line, Usage, beyond, bill, total
from runtimes.bedrock.families import FAMILIES

DAYS = 30
PER_DAY = (1, 10_000, 1_000_000)
"""Pictures a day that the page shows."""
FAMILY = "stability.stable-image-core"
"""The model that the page shows."""

_MILLION = 1_000_000
_CALL_S, _FUNCTION_GB = 9.0, 1.0
"""How long a picture takes, and the agent's memory: the function waits, and is paid for that."""
_PICTURE_KIB = 1500
"""Of a picture of a megapixel, as PNG."""
_METRICS = 13
"""Of a runtime: 7, and about 6 kinds of errors. CloudWatch charges a metric for the hours in which it gets data."""
_ENDPOINT_USD_PER_HOUR = 1.13
"""ml.g6.xlarge; list price in US East (N. Virginia), November 2026."""
_EXAMPLE = Path(__file__).parent.parent / "examples" / "configs" / "managed.yaml"
_ENDPOINT_CALL_S, _ENDPOINT_WAKE_S = 5.0, 900.0
"""A picture of FLUX.1-schnell in 8 bits, assumed; an instance's start and the time until it is taken away again."""


def at_rest() -> list[Line]:
    """What one runtime, with alarms by e-mail, costs while nobody asks for anything."""
    return bill(_config(), Usage())


def platform(per_day: float) -> list[Line]:
    """What the way of so many pictures through the platform costs, without the agent and the model."""
    return beyond(bill(_config(), Usage(images=per_day * DAYS, picture_kib=_PICTURE_KIB)), at_rest())


def _config() -> Config:
    config = load_config(_EXAMPLE)
    emails = config.monitoring.model_copy(update={"alarm_emails": ["ops@example.com"]})
    return config.model_copy(update={"models_runtime": config.models_runtime[:1], "monitoring": emails})


def agent(per_day: float) -> list[Line]:
    """What the agent costs as a function, with what it measures."""
    images = per_day * DAYS
    metrics = _METRICS * min(per_day / 24, 1)
    return [
        Line("Lambda", "GB-second", "agent, images * 9 s * 1 GB", images * _CALL_S * _FUNCTION_GB, 0.0000133334),
        Line("Lambda", "million requests", "agent, images", images / _MILLION, 0.20),
        Line("SQS", "million requests", "agent, images (it keeps the message)", images / _MILLION, 0.40),
        Line("CloudWatch", "metric, month", "13, hours with a picture / 720", metrics, 0.30),
        Line("CloudWatch", "GB of logs", "a line of metrics, images * 0.6 KB", images * 0.6 / 1024**2, 0.50),
    ]


def model(per_day: float) -> list[Line]:
    """What Bedrock charges."""
    family = FAMILIES[FAMILY]
    return [Line("Bedrock", "picture", family.title, per_day * DAYS, family.price_usd)]


def endpoint(per_day: float) -> list[Line]:
    """What an asynchronous endpoint of SageMaker costs in place of Bedrock, if it starts once a day at least."""
    drawing_h = per_day * DAYS * _ENDPOINT_CALL_S / 3600
    waking_h = DAYS * _ENDPOINT_WAKE_S / 3600
    return [
        Line("SageMaker", "ml.g6.xlarge, hour", "images * 5 s / 3600", drawing_h, _ENDPOINT_USD_PER_HOUR),
        Line("SageMaker", "ml.g6.xlarge, hour", "30 starts * 900 s / 3600", waking_h, _ENDPOINT_USD_PER_HOUR),
    ]


def volumes() -> str:
    """The page's table of volumes."""
    head = ("Pictures a day", "Idle", "Platform", "Agent as a function", "Bedrock", "Sum", "SageMaker for Bedrock")
    rows = []
    for per_day in PER_DAY:
        parts = [total(rows) for rows in (at_rest(), platform(per_day), agent(per_day), model(per_day))]
        figures = [*parts, sum(parts), total(endpoint(per_day))]
        rows.append((f"{per_day:,}", *(f"{usd:,.2f}" for usd in figures)))
    return tables.table(head, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a month costs."""
    parser = argparse.ArgumentParser(
        prog="python -m docs.managed_costs", description="What managed runtimes alone cost in a month, in dollars."
    )
    parser.add_argument("--per-day", type=float, default=PER_DAY[1], help="pictures a day (%(default)s)")
    per_day = parser.parse_args(arguments).per_day
    rows = [*at_rest(), *platform(per_day), *agent(per_day), *model(per_day)]
    sys.stdout.write(f"{table(rows)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
