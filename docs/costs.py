"""What a month costs: ``python -m docs.costs --images 1000000 --seconds 1.5 --usd-per-hour 0.4968``."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from docs import tables

HOURS = 720
WRITE_UNITS = 20
"""DynamoDB's write units of a job that succeeds at its first attempt, before its model server reports progress."""
_MILLION = 1_000_000
_USD_PER_MILLION_WRITES, _USD_PER_MILLION_READS = 0.625, 0.125
_USD_PER_MILLION_CALLS = 3.50 + 2 * 0.20
"""API Gateway, and two functions of Lambda: the authorizer and the API."""
_USD_PER_GB_SECOND = 0.0000133334
"""Lambda on arm64."""
_SNAPSHOT_GB = 25
# 90 GB of gp3, 1000 IOPS above 3000, 875 MiB/s above 125: the chart's defaults.
_USD_PER_VOLUME = 90 * 0.08 + 1000 * 0.005 + 875 * 0.04


class Row(NamedTuple):
    """One line of a bill: so many units of a service, and in words how they are counted."""

    service: str
    unit: str
    formula: str
    quantity: float
    usd_per_unit: float

    @property
    def usd(self) -> float:
        """What they cost, in whole cents."""
        return round(self.quantity * self.usd_per_unit, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """What is asked of the platform in a month, and how it is set up."""

    images: int = _MILLION
    """Pictures, each a task of its own."""
    seconds_per_image: float = 1.5
    """In the model server."""
    usd_per_hour: float = 0.4968
    """What a GPU instance costs."""
    runtimes: int = 1
    nat_gateways: int = 3
    node_starts: int = 300
    """How often a GPU node is started: 180 s from its launch to its first task, for boot and model, and 150 s from its
    last task to its end (cooldownPeriod, consolidateAfter, and shutting down)."""
    idle_nodes: int = 0
    """GPU nodes that stay without work (minReplicaCount)."""

    @property
    def drawing_hours(self) -> float:
        """Hours in which a GPU draws."""
        return self.images * self.seconds_per_image / 3600

    @property
    def waiting_hours(self) -> float:
        """Hours in which a GPU node starts, stops, or stays without work."""
        return self.node_starts * (180 + 150) / 3600 + self.idle_nodes * HOURS

    def gib(self, kib_each: float) -> float:
        """Gibibytes of so many kibibytes a picture."""
        return self.images * kib_each / 1024**2


def estimate(month: Month) -> list[Row]:
    """The lines that every deployment has."""
    images, m = month.images, month.images / _MILLION
    return [
        Row("EC2", "GPU instance, hour", "images * seconds / 3600", month.drawing_hours, month.usd_per_hour),
        Row("API Gateway", "million requests", "images", m, 3.50),
        Row("Lambda", "GB-second", "images * 0.1 s * 0.125 GB", images * 0.1 * 0.125, 0.0000166667),
        Row("Lambda", "million requests", "images", m, 0.20),
        Row("SNS", "million requests", "images * 2 (task, notice)", 2 * m, 0.50),
        Row("SNS", "GB sent out", "images * 8 KB", month.gib(8), 0.09),
        Row("SQS", "million requests", "images * 2 (receive, delete)", 2 * m, 0.40),
        Row("S3", "thousand PUTs", "images * 2 (picture, manifest)", 2 * images / 1000, 0.005),
        Row("S3", "GB-month", "images * 150 KB, kept a month", month.gib(150), 0.023),
        Row("EKS", "cluster, hour", "720 h", HOURS, 0.10),
        Row("EC2", "m5.large on demand, hour", "2 nodes * 720 h", 2 * HOURS, 0.096),
    ]


def left_out(month: Month) -> list[Row]:
    """The lines that the estimate leaves out, and that a deployment has too."""
    m, runtimes = month.images / _MILLION, month.runtimes
    gpu_hours, gateway_hours = month.drawing_hours + month.waiting_hours, month.nat_gateways * HOURS
    waiting = "node starts * (start + stop) / 3600 + idle nodes * 720"
    volumes = "all GPU hours / 720 (10 + 80 GB, 4000 IOPS, 1000 MiB/s)"
    filled, filled_gb = "node starts * 25 GB of the snapshot", month.node_starts * _SNAPSHOT_GB
    to_nat = "images * 40 KB (SQS, SNS, logs; S3 and DynamoDB go past it)"
    loaded = "images * 150 KB, each loaded once from outside AWS"
    metrics = "runtimes * 20 (14, and about 6 kinds of errors), while agents report"
    insights = "Container Insights: 60 an hour * (720 h * 1,650 metrics + GPU hours * 900)"
    observations = 60 * (HOURS * 1650 + gpu_hours * 900) / _MILLION
    polls = "runtimes * one a second (two at each pollingInterval of KEDA)"
    writes = f"images * {WRITE_UNITS} (6 items, and their entries in three indexes)"
    return [
        Row("EC2", "GPU instance, hour", waiting, month.waiting_hours, month.usd_per_hour),
        Row("EBS", "GPU node's volumes, month", volumes, gpu_hours / HOURS, _USD_PER_VOLUME),
        Row("EBS", "GB filled at 300 MiB/s", filled, filled_gb, 0.0036),
        Row("NAT gateway", "hour", "gateways * 720 h", gateway_hours, 0.045),
        Row("NAT gateway", "GB", to_nat, month.gib(40), 0.045),
        Row("Public IPv4", "hour", "gateways * 720 h", gateway_hours, 0.005),
        Row("Data out", "GB", loaded, month.gib(150), 0.09),
        Row("CloudWatch", "metric, month", metrics, 20 * runtimes if gpu_hours else 0, 0.30),
        Row("CloudWatch", "million observations", insights, observations, 0.21),
        Row("CloudWatch", "metric of an alarm, month", "runtimes * 9 + 10", 9 * runtimes + 10, 0.10),
        Row("CloudWatch", "dashboard, month", "1", 1, 3.00),
        Row("CloudWatch", "GB of logs", "images * 8 KB", month.gib(8), 0.50),
        Row("CloudWatch", "GB of logs", "control plane 10 GB, flows of the network 3 GB", 13, 0.50),
        Row("X-Ray", "million traces", "images, at most", m, 5.00),
        Row("SQS", "million requests", polls, runtimes * HOURS * 3600 / _MILLION, 0.40),
        Row("DynamoDB", "million writes", writes, WRITE_UNITS * m, _USD_PER_MILLION_WRITES),
        Row("EBS", "GB-month", "2 system nodes * (4 + 30 GB)", 68, 0.08),
        Row("EBS", "GB-month of snapshot", "40 GB of images", 40, 0.05),
        Row("ECR", "GB-month", "20 GB of images", 20, 0.10),
        Row("KMS", "key, month", "1, where alarms go to e-mail", 1, 1.00),
    ]


def following(seconds: float) -> dict[str, float]:
    """What it costs in dollars to learn of the ends of a million jobs, each of which takes so many seconds."""
    calls, memory = _USD_PER_MILLION_CALLS, _USD_PER_GB_SECOND * _MILLION
    reads, writes = _USD_PER_MILLION_READS, _USD_PER_MILLION_WRITES
    return {
        "notices (SNS, SQS)": 0.0,
        "a webhook": 2 * 0.40 + 0.20 + 0.3 * 0.5 * memory + 2 * writes,
        "`GET /v1/jobs/JOB` every 2 s": seconds / 2 * (calls + 0.05 * memory + reads),
        "`?wait=20`, or `Prefer: wait=20`": seconds / 20 * calls + seconds * (memory + 1.4 * reads),
        "`GET /v1/jobs/JOB/events`": calls + seconds * (0.5 * memory + 2 * reads),
        "either of the two from `python -m api.asgi`": seconds / 0.25 * 0.5 * reads,
    }


def following_table(seconds: Sequence[float]) -> str:
    """That as a table in Markdown, with a column for each time."""
    columns = [following(one) for one in seconds]
    rows = ([way, *(f"{column[way]:.2f}" for column in columns)] for way in columns[0])
    return tables.table(("A million jobs followed by", *(f"for {one:g} s each, $" for one in seconds)), rows)


def idle(month: Month) -> list[Row]:
    """The lines that stay when nothing is drawn, those of GPU nodes that always run among them."""
    at_rest = replace(month, images=0, node_starts=0)
    return [row for row in [*estimate(at_rest), *left_out(at_rest)] if row.quantity]


def total(rows: Iterable[Row]) -> float:
    """Add up what lines cost."""
    return round(sum(row.usd for row in rows), 2)


def table(rows: Sequence[Row]) -> str:
    """Write lines of a bill as a table in Markdown, with their sum."""
    lines = []
    for row in rows:
        price = f"{row.usd_per_unit:.10f}".rstrip("0").rstrip(".")
        lines.append((row.service, row.unit, row.formula, f"{row.quantity:,.2f}", price, f"{row.usd:.2f}"))
    head = ("Service", "Counted by", "How many", "Quantity", "Price, $", "$")
    return tables.table(head, [*lines, ("**Sum**", "", "", "", "", f"**{total(rows):.2f}**")])


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what a month costs."""
    parser = argparse.ArgumentParser(prog="python -m docs.costs", description="What a month costs, in dollars.")
    default = Month()
    for name, kind, value, words in (
        ("images", _count, default.images, "pictures"),
        ("seconds", float, default.seconds_per_image, "for each"),
        ("usd-per-hour", float, default.usd_per_hour, "of a GPU instance"),
        ("node-starts", _count, default.node_starts, "of GPU nodes"),
        ("idle-nodes", _count, default.idle_nodes, "that always run"),
        ("runtimes", _count, default.runtimes, "in config.yaml"),
        ("nat-gateways", _count, default.nat_gateways, ""),
    ):
        parser.add_argument(f"--{name}", type=kind, default=value, help=f"{words} (%(default)s)")
    options = vars(parser.parse_args(arguments))
    month = Month(seconds_per_image=options.pop("seconds"), **options)
    at_rest = idle(month)
    if month.images:
        counted, besides = estimate(month), left_out(month)
        together = total([*counted, *besides])
        sys.stdout.write(f"{table(counted)}\nBesides:\n\n{table(besides)}\n")
        sys.stdout.write(f"Together: ${together:.2f} a month, ${together / month.images:.6f} a picture\n")
    else:
        sys.stdout.write(f"{table(at_rest)}\n")
    sys.stdout.write(f"Idle: ${total(at_rest):.0f} a month\n")
    return 0


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
